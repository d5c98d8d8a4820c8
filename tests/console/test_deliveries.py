"""Deliveries, webhook runs, notes and confirmations over the API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from asking import Api
from dispatching import integration
from persons import CHANNEL, LEADS, chain, responder

from tocsin.store import deliveries, webhookruns
from tocsin.store.deliveries import DeliveryState, NewDelivery, Outcome
from tocsin.store.webhookruns import WebhookRun

Start = Callable[..., Awaitable[Api]]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """Both engines; empty is SQLite."""
    return "" if request.param == "sqlite" else request.getfixturevalue("postgresql_url")


async def send(a: Api, group: int, *states: DeliveryState) -> None:
    """One delivery of each state to channel default/mail."""

    def write(connection: object) -> None:
        new = [
            NewDelivery(key=f"k{n}", kind="group", at=a.world.now, channel="default/mail", group=group)
            for n in range(len(states))
        ]
        deliveries.enqueue(connection, new)
        claimed = deliveries.claim(connection, "test", limit=10, now=a.world.now, lease=1_000_000)
        outcomes = [
            Outcome(
                id=one.id,
                attempts=one.attempts,
                state=state,
                at=a.world.now,
                reason="serverError" if state is DeliveryState.FAILED else "",
                error="ntfy.sh: answered 500" if state is DeliveryState.FAILED else "",
            )
            for one, state in zip(claimed, states, strict=True)
            if state is not DeliveryState.PENDING
        ]
        deliveries.record(connection, outcomes)

    await a.world.store.write(write)


async def test_what_could_not_be_delivered_is_listed_and_tried_again(api: Start, url: str) -> None:
    """By state, group and channel, latest first; `retry` gives it all its attempts anew, once."""
    a = await api(CHANNEL, integration(), url=url)
    group = await a.firing("u1")
    await send(a, 1, DeliveryState.DELIVERED, DeliveryState.FAILED, DeliveryState.PENDING)
    failed = await a.get(f"/deliveries?state=failed&group={group}&channel=default/mail")
    (shown,) = failed["results"]
    assert (shown["state"], shown["reason"], shown["error"], shown["alert_group_id"]) == (
        "failed",
        "serverError",
        "ntfy.sh: answered 500",
        group,
    )
    assert [one["state"] for one in (await a.get("/deliveries?state=failed&state=pending"))["results"]] == [
        "pending",
        "failed",
    ]
    assert (await a.get("/deliveries?channel=default/other"))["results"] == []
    await a.post(f"/deliveries/{shown['id']}/retry")
    assert (await a.get("/deliveries?state=failed"))["results"] == []
    again = await a.ask("POST", f"/deliveries/{shown['id']}/retry")
    assert (again.status, "failed or was dropped" in again.problem["detail"]) == (400, True)
    assert (await a.ask("POST", "/deliveries/999/retry")).status == 404
    assert (await a.ask("GET", "/deliveries?state=lost")).problem["field"] == "state"
    assert (await a.ask("GET", "/deliveries?group=1")).problem["field"] == "group"


async def test_the_list_is_walked_by_key(api: Start) -> None:
    a = await api(CHANNEL, integration())
    await a.firing("u1")
    await send(a, 1, *[DeliveryState.DELIVERED] * 5)
    page, seen = await a.get("/deliveries?perpage=2"), []
    while True:
        seen += [one["id"] for one in page["results"]]
        if page["next"] is None:
            break
        page = (await a.ask("GET", page["next"])).json
    assert (len(seen), seen) == (5, sorted(seen, reverse=True))


async def test_a_group_shows_its_escalation_and_where_it_is_told(api: Start, url: str) -> None:
    """Chain, step and next moment; who is told by their rules; posted messages; the latest deliveries."""
    steps = (
        {"notifyResponders": {"responderRefs": [{"name": "ann"}]}},
        {"wait": {"duration": "5m"}},
        {"notifyResponders": {"responderRefs": [{"name": "ann"}]}},
    )
    publish = {**LEADS["defaultRoute"], "chatops": [{"channelRef": {"name": "mail"}}]}
    a = await api(CHANNEL, responder("ann"), chain("c", *steps), integration(defaultRoute=publish), url=url)
    group = await a.firing("u1")
    await a.world.after(seconds=1)
    shown = await a.get(f"/alert_groups/{group}")
    escalation = shown["escalation"]
    assert (escalation["chain"], escalation["channels"], escalation["step"], escalation["steps"]) == (
        "default/c",
        ["default/mail"],
        2,
        3,
    )
    assert (escalation["next_at"], escalation["finished"]) == ("2026-07-01T12:05:00Z", False)
    assert [(one["responder"], one["finished"]) for one in shown["personal"]] == [("default/ann", True)]
    assert [(one["kind"], one["channel"]) for one in shown["deliveries"]] != []
    assert [one["channel"] for one in shown["posted"]] == ["default/mail"]
    await a.post(f"/alert_groups/{group}/resolve")
    await a.world.after(seconds=1)
    assert (await a.get(f"/alert_groups/{group}"))["escalation"]["finished"] is True
    assert "escalation" not in (await a.get("/alert_groups"))["results"][0]


async def test_the_last_runs_of_webhooks_are_shown(api: Start, url: str) -> None:
    """By webhook and by group, latest first, with what was sent and answered."""
    a = await api(integration(), url=url)
    one, two = await a.firing("u1"), await a.firing("u2")

    def write(connection: object) -> None:
        for number, webhook in ((1, "default/a"), (2, "default/a"), (2, "default/b")):
            run = WebhookRun(
                group=number,
                webhook=webhook,
                event="Resolve",
                at=a.world.now,
                url="https://hook.example/x",
                method="POST",
                status=204,
                ok=True,
                request="{}",
            )
            webhookruns.add(connection, run)

    await a.world.store.write(write)
    of_two = (await a.get(f"/webhook_runs?group={two}"))["results"]
    assert [run["webhook"] for run in of_two] == ["default/b", "default/a"]
    assert (of_two[0]["status"], of_two[0]["ok"], of_two[0]["event"]) == (204, True, "Resolve")
    of_a = (await a.get("/webhook_runs?webhook=default/a&perpage=1"))["results"]
    assert [run["alert_group_id"] for run in of_a] == [two]
    assert len((await a.get(f"/webhook_runs?group={one}"))["results"]) == 1


async def test_notes_are_written_changed_and_removed(api: Start, url: str) -> None:
    """The resolution notes of OnCall's API: 201, 200, 204; who wrote them and when stays."""
    a = await api(integration(), url=url)
    group, other = await a.firing("u1"), await a.firing("u2")
    made = await a.ask("POST", "/resolution_notes/", {"alert_group_id": group, "text": "It was DNS."})
    assert made.status == 201
    note = made.json
    assert (note["id"][0], note["author"], note["source"], note["created_at"], note["alert_group_id"]) == (
        "M",
        "local",
        "api",
        "2026-07-01T12:00:00Z",
        group,
    )
    changed = await a.ask("PUT", f"/resolution_notes/{note['id']}", {"text": "It was not DNS."})
    assert changed.json == {**note, "text": "It was not DNS."}
    assert await a.get(f"/resolution_notes/{note['id']}") == changed.json
    assert (await a.get(f"/resolution_notes?alert_group_id={group}"))["results"] == [changed.json]
    assert (await a.get(f"/resolution_notes?alert_group_id={other}"))["results"] == []
    assert (await a.ask("DELETE", f"/resolution_notes/{note['id']}")).status == 204
    assert (await a.ask("GET", f"/resolution_notes/{note['id']}")).status == 404
    for body, field in (
        ({"text": "x"}, "alert_group_id"),
        ({"alert_group_id": "INOSUCHGROUP", "text": "x"}, "alert_group_id"),
        ({"alert_group_id": group, "text": " "}, "text"),
        ({"alert_group_id": group, "text": "x" * 3001}, "text"),
    ):
        assert (await a.ask("POST", "/resolution_notes", body)).problem["field"] == field


async def test_notes_stand_in_the_log_where_they_belong(api: Start) -> None:
    """By time between the entries, each on one page only, also when the log is read in pieces."""
    a = await api(integration())
    group = await a.firing("u1")
    for action in ("acknowledge", "unacknowledge", "resolve"):
        await a.world.after(minutes=1)
        reply = await a.ask(
            "POST", "/resolution_notes", {"alert_group_id": group, "text": f"before {action}"}
        )
        assert reply.status == 201
        await a.world.after(minutes=1)
        await a.post(f"/alert_groups/{group}/{action}")

    def shown(entries: list[dict]) -> list[str]:
        return [e["details"].get("text", e["action"]) for e in entries if e["action"] != "route_assigned"]

    whole = shown((await a.get(f"/alert_groups/{group}/log"))["results"])
    assert [text for text in whole if text.startswith("before") or text in ("acknowledged", "unacknowledged", "resolved")] == [
        "before acknowledge",
        "acknowledged",
        "before unacknowledge",
        "unacknowledged",
        "before resolve",
        "resolved",
    ]  # fmt: skip
    pieces: list[str] = []
    after = 0
    while after is not None:
        page = await a.get(f"/alert_groups/{group}/log?perpage=1&after={after}")
        pieces += shown(page["results"])
        after = page["next_after"]
    assert pieces == whole


async def test_who_is_asked_confirms(api: Start) -> None:
    """An acknowledge reminder is answered with `confirm`; without one there is nothing to confirm."""
    reminded = chain("c", acknowledgeReminder={"every": "1h", "unacknowledgeAfter": "10m"})
    a = await api(reminded, integration(**LEADS))
    group = await a.firing("u1")
    refused = await a.ask("POST", f"/alert_groups/{group}/confirm", {})
    assert (refused.status, "nobody is asked" in refused.problem["detail"]) == (400, True)
    await a.post(f"/alert_groups/{group}/acknowledge")
    await a.world.after(minutes=61)
    await a.post(f"/alert_groups/{group}/confirm")
    await a.world.after(minutes=30)
    assert (await a.get(f"/alert_groups/{group}"))["state"] == "acknowledged"
    await a.world.after(minutes=60)
    assert (await a.get(f"/alert_groups/{group}"))["state"] == "firing"
