"""Users, teams, chains and on-call schedules over the API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from asking import Api
from dispatching import TYPES, obj
from persons import CHANNEL, LEADS, chain, paging, responder

from tocsin.api.objects import parse_object
from tocsin.console.api.guard import parse_tokens
from tocsin.flow.compiler import compile_flow
from tocsin.flow.inventory import Inventory
from tocsin.flow.program import link

Start = Callable[..., Awaitable[Api]]

ROTA = obj(
    "OnCallSchedule",
    "rota",
    timeZone="Europe/Berlin",
    team="infra",
    layers=[
        {
            "name": "week",
            "start": "2026-06-29T09:00",
            "rotation": {"frequency": "Weekly"},
            "participants": [{"responderRefs": [{"name": "ann"}]}, {"responderRefs": [{"name": "bob"}]}],
            "restrictions": [{"from": "06:00", "to": "22:00"}],
        }
    ],
)
ICS = (
    "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:ann\\, zoe\r\n"
    "DTSTART:20260701T000000Z\r\nDTEND:20260703T000000Z\r\nEND:VEVENT\r\n"
    "BEGIN:VEVENT\r\nSUMMARY:bob\r\nDTSTART:never\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)


async def test_responders_are_users(api: Start) -> None:
    """The fields of OnCall's users; contacts without addresses; filters by username and team."""
    ann = responder(
        "ann",
        email="ann@example.com",
        timeZone="Europe/Berlin",
        teams=["infra"],
        contacts=[{"name": "push", "channelRef": {"name": "mail"}, "address": "ann-secret-topic"}],
        rules={"default": [{"notify": "push"}, {"wait": "5m"}]},
    )
    a = await api(CHANNEL, ann, responder("bob", username="bobby"))
    listed = await a.get("/users")
    assert ([one["username"] for one in listed["results"]], listed["page_size"]) == (["ann", "bobby"], 100)
    shown = listed["results"][0]
    expected = {
        "responder": "default/ann",
        "email": "ann@example.com",
        "name": "Ann",
        "timezone": "Europe/Berlin",
        "team_names": ["infra"],
        "contacts": [{"name": "push", "channel": "default/mail"}],
        "rules": {"default": [{"notify": "push"}, {"wait": 300}], "important": []},
    }
    assert {key: shown[key] for key in expected} == expected
    assert shown["id"][0] == "U"
    assert await a.get(f"/users/{shown['id']}") == shown
    assert "ann-secret-topic" not in str(listed)
    (team,) = (await a.get("/teams"))["results"]
    assert (shown["teams"], team["members"]) == ([team["id"]], [shown["id"]])
    assert [one["username"] for one in (await a.get("/users?username=bobby"))["results"]] == ["bobby"]
    assert [one["username"] for one in (await a.get("/users?team=infra"))["results"]] == ["ann"]
    assert (await a.ask("GET", "/users/UAAAAAAAAAAAA")).status == 404
    assert (await a.ask("GET", "/users?team=none")).problem["field"] == "team"


async def test_chains_are_shown_as_declared(api: Start) -> None:
    """Steps with what they refer to; steps that cannot work say why."""
    steps = ({"wait": {"duration": "5m"}}, {"notifyOnCall": {"scheduleRef": {"name": "gone"}}})
    a = await api(chain("c", *steps, team="infra", acknowledgeReminder={"every": "1h"}))
    (shown,) = (await a.get("/escalation_chains?name=c"))["results"]
    assert (shown["id"][0], shown["resource"], shown["team"]) == ("F", "default/c", "infra")
    assert shown["steps"][0] == {"wait": {"duration": "5m"}}
    assert (shown["acknowledge_reminder"], shown["unacknowledge_after"]) == (3600, None)
    assert (await a.get("/escalation_chains?name=other"))["count"] == 0


async def test_who_is_on_call_now_and_next(api: Start) -> None:
    """Names and ids; the next handover; shifts and gaps of the next two weeks, or of a given time."""
    a = await api(CHANNEL, responder("ann"), responder("bob"), ROTA)
    ids = {one["username"]: one["id"] for one in (await a.get("/users"))["results"]}
    (listed,) = (await a.get("/on_call_schedules"))["results"]
    assert (listed["on_call_now"], listed["on_call"], listed["error"]) == (
        [ids["ann"]],
        ["default/ann"],
        None,
    )
    assert listed["next"] == {"at": "2026-07-01T20:00:00Z", "users": [], "on_call": []}
    for path in (listed["id"], "default/rota"):
        shown = await a.get(
            f"/on_call_schedules/{path}?start=2026-07-06T00:00:00Z&end=2026-07-06T12:00:00%2B02:00"
        )
        assert shown["shifts"] == [
            {"start": "2026-07-06T04:00:00Z", "end": "2026-07-06T07:00:00Z", "users": [ids["ann"]], "on_call": ["default/ann"]},
            {"start": "2026-07-06T07:00:00Z", "end": "2026-07-06T10:00:00Z", "users": [ids["bob"]], "on_call": ["default/bob"]},
        ]  # fmt: skip
        assert shown["gaps"] == [{"start": "2026-07-06T00:00:00Z", "end": "2026-07-06T04:00:00Z"}]
    assert len((await a.get("/on_call_schedules/default/rota"))["gaps"]) == 14
    await a.world.after(hours=11)
    night = await a.get("/on_call_schedules/default/rota")
    assert (night["on_call_now"], night["error"]) == ([], "nobody is on call")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("start=yesterday", "start"),
        ("start=2026-07-02&end=2026-07-01", "end"),
        ("start=2026-07-02&end=2028-07-01", "end"),
        ("end=9999-01-01", "end"),
        ("days=3", "days"),
    ],
)
async def test_a_time_that_means_nothing_is_refused(api: Start, query: str, field: str) -> None:
    a = await api(CHANNEL, responder("ann"), responder("bob"), ROTA)
    reply = await a.ask("GET", f"/on_call_schedules/default/rota?{query}")
    assert (reply.status, reply.problem["field"]) == (400, field)
    assert (await a.ask("GET", "/on_call_schedules/default/other")).status == 404
    assert (await a.ask("GET", "/on_call_schedules/SAAAAAAAAAAAA")).status == 404


async def test_a_calendar_says_what_is_wrong_with_it(api: Start) -> None:
    """Events that cannot be read, names of nobody; one by URL that no process has fetched yet."""
    by_text = obj("OnCallSchedule", "text", ical={"configMapKeyRef": {"name": "cal", "key": "a.ics"}})
    by_url = obj("OnCallSchedule", "url", ical={"url": "https://calendar.example/a.ics"})
    a = await api(CHANNEL, responder("ann"), by_url)
    shown = await a.get("/on_call_schedules/default/url")
    assert (shown["type"], shown["error"]) == (
        "ical",
        "the calendar cannot be read: it has not been read yet",
    )
    assert shown["calendar"]["problem"] == "it has not been read yet"
    declared = [parse_object(one) for one in (CHANNEL, responder("ann"), by_text)]
    inventory = Inventory.of(declared).with_config_map("default", "cal", {"a.ics": ICS})
    flow = compile_flow(inventory, types=TYPES, now=a.world.now).flow
    a.world.live.program = link(flow, types=TYPES)
    shown = await a.get("/on_call_schedules/default/text?start=2026-07-01&end=2026-07-02")
    assert shown["on_call"] == ["default/ann"]
    assert (shown["calendar"]["events"], shown["calendar"]["unknown_names"]) == (1, ["zoe"])
    assert shown["calendar"]["skipped"] == ["event 'bob': 'never' is no date or time"]


async def test_lists_need_a_token_that_may_read_and_pages_one_that_may_act(api: Start) -> None:
    """As everything else of the API: a viewer reads, an editor acts."""
    tokens = parse_tokens(f"viewer read {'v' * 20}\neditor act {'e' * 20}")
    a = await api(CHANNEL, responder("ann"), chain("c"), paging(**LEADS), ROTA, tokens=tokens)
    viewer, editor = ({"Authorization": f"Bearer {letter * 20}"} for letter in "ve")
    for path in ("/users", "/teams", "/escalation_chains", "/on_call_schedules", "/deliveries", "/webhook_runs", "/resolution_notes"):  # fmt: skip
        assert (await a.ask("GET", path)).status == 401
        assert (await a.ask("GET", path, headers=viewer)).status == 200
    body = {"users": [{"id": "ann"}]}
    assert (await a.ask("POST", "/escalation", body, headers=viewer)).status == 403
    assert (await a.ask("POST", "/escalation", body, headers=editor)).status == 200
    for method, path in (
        ("POST", "/alert_groups/IAAAAAAAAAAAA/unpage"),
        ("POST", "/alert_groups/IAAAAAAAAAAAA/confirm"),
        ("POST", "/deliveries/1/retry"),
        ("POST", "/resolution_notes"),
        ("PUT", "/resolution_notes/MAAAAAAAAAAAA"),
        ("DELETE", "/resolution_notes/MAAAAAAAAAAAA"),
    ):
        assert (await a.ask(method, path, headers=viewer)).status == 403
