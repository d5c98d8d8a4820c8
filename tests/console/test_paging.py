"""Paging people by hand over the API: who is told, what the group says, what is refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from asking import Api
from dispatching import integration, obj
from persons import CHANNEL, LEADS, chain, paging, responder

from tocsin.console.api.guard import parse_tokens

Start = Callable[..., Awaitable[Api]]

PEOPLE = (
    CHANNEL,
    responder("ann", teams=["infra"]),
    responder("bob", teams=["infra"], username="bobby"),
    responder("cat"),
)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """Both engines; empty is SQLite."""
    return "" if request.param == "sqlite" else request.getfixturevalue("postgresql_url")


async def told(a: Api) -> list[str]:
    """Whom messages were meant for, of all deliveries so far, first first."""
    await a.world.dispatch.run_due()
    found = (await a.get("/deliveries?perpage=1000"))["results"]
    return [one["responder"] for one in reversed(found) if one["kind"] == "personal"]


async def log(a: Api, group: str) -> list[tuple[str, str | None, dict[str, str]]]:
    entries = (await a.get(f"/alert_groups/{group}/log"))["results"]
    return [
        (one["action"], one["author"], one["details"])
        for one in entries
        if one["action"] in ("direct_paging", "unpage")
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "users"),
        ({"users": []}, "users"),
        ({"team": "infra", "users": [{"id": "ann"}]}, "users"),
        ({"users": [{"id": "nobody"}]}, "users[0]"),
        ({"users": [{"id": "ann", "loud": True}]}, "users[0]"),
        ({"users": ["ann"]}, "users[0]"),
        ({"users": [{"id": "ann", "important": 1}]}, "users[0].important"),
        ({"team": "nobodies"}, "team"),
        ({"users": [{"id": "ann"}], "title": "x" * 1501}, "title"),
        ({"users": [{"id": "ann"}], "integration": "web"}, "integration"),
        ({"users": [{"id": "ann"}], "pager": 1}, "pager"),
    ],
)
async def test_a_page_says_whom(api: Start, body: dict[str, Any], field: str) -> None:
    """A team or users, never both, at least one of them, all of them known; otherwise nothing happens.

    Rules: R-PAG-1
    """
    a = await api(*PEOPLE, paging(), integration())
    reply = await a.ask("POST", "/escalation", body)
    assert (reply.status, reply.problem["field"]) == (400, field)
    assert (await a.get("/alert_groups"))["count"] == 0


async def test_users_are_paged_with_a_new_group(api: Start, url: str) -> None:
    """An alert through the Integration of type direct_paging without a team, its route and chain; then each user by their
    rules. By id, name or username.

    Rules: R-PAG-2
    """
    important = {"rules": {"default": [], "important": [{"notify": "push"}, {"notify": "push"}]}}
    a = await api(
        CHANNEL,
        responder("ann", **important),
        responder("bob", username="bobby"),
        responder("cat"),
        chain("c", {"notifyResponders": {"responderRefs": [{"name": "cat"}]}}),
        paging(**LEADS),
        paging("infra", team="infra"),
        url=url,
    )
    ids = {one["username"]: one["id"] for one in (await a.get("/users"))["results"]}
    group = await a.post(
        "/escalation/",
        {
            "title": "Phones are dead",
            "message": "Nobody can *call* us.",
            "source_url": "https://chat.example/1",
            "users": [{"id": ids["ann"], "important": True}, {"id": "bobby"}],
        },
    )
    assert (group["title"], group["state"], group["integration"], group["alerts_count"]) == (
        "Phones are dead",
        "firing",
        "default/pages",
        1,
    )
    paged = [(one["id"], one["username"], one["important"], one["by"]) for one in group["paged"]]
    assert paged == [(ids["ann"], "ann", True, "local"), (ids["bobby"], "bobby", False, "local")]
    assert sorted(await told(a)) == ["default/ann", "default/ann", "default/bob", "default/cat"]
    payload = group["last_alert"]["payload"]["oncall"]
    assert (payload["author_username"], payload["permalink"], payload["important"]) == (
        "local",
        "https://chat.example/1",
        False,
    )
    shown = await a.get(f"/alert_groups/{group['id']}")
    assert shown["escalation"]["chain"] == "default/c"
    assert {one["responder"] for one in shown["personal"]} == {"default/ann", "default/bob", "default/cat"}


async def test_a_team_is_paged_through_its_own_integration(api: Start, url: str) -> None:
    """Its chain decides who is told; `payload.oncall.important` lets a route choose another."""
    a = await api(
        *PEOPLE,
        chain("c", {"notifyTeam": {"name": "infra"}}),
        chain("urgent", {"notifyResponders": {"responderRefs": [{"name": "cat"}]}}),
        paging("infra", team="infra", **LEADS),
        obj(
            "AlertRoute",
            "urgent",
            parentRefs=[{"name": "infra"}],
            match={"template": "{{ payload.oncall.important }}"},
            escalationChainRef={"name": "urgent"},
        ),
        url=url,
    )
    group = await a.post("/escalation", {"team": "infra"})
    assert (group["title"], group["team"], group["paged"]) == ("local pages team infra", "infra", [])
    assert sorted(await told(a)) == ["default/ann", "default/bob"]
    urgent = await a.post("/escalation", {"team": "default/infra", "important_team_escalation": True})
    assert urgent["route"] == "default/urgent"
    assert (await told(a))[-1] == "default/cat"


async def test_only_teams_that_can_be_reached_are_offered(api: Start) -> None:
    """A team is contactable if some route of its direct_paging Integration leads to a chain or a channel that is there; a page
    that would reach nobody is refused in words, not lost.

    Rules: R-PAG-5
    """
    a = await api(
        *PEOPLE,
        responder("dan", teams=["web", "db", "mute"]),
        chain("c"),
        paging("infra", team="infra", **LEADS),
        paging("web", team="web", defaultRoute={"chatops": [{"channelRef": {"name": "mail"}}]}),
        paging("mute", team="mute"),
    )
    teams = {
        one["name"]: (one["is_contactable"], one["integration"]) for one in (await a.get("/teams"))["results"]
    }
    assert teams == {
        "infra": (True, "default/infra"),
        "web": (True, "default/web"),
        "mute": (False, "default/mute"),
        "db": (False, None),
    }
    for team, words in (("mute", "nobody would be told"), ("db", "no Integration of type direct_paging")):
        refused = (await a.ask("POST", "/escalation", {"team": team})).problem
        assert (refused["field"], words in refused["detail"]) == ("team", True)
    assert (await a.get("/alert_groups"))["count"] == 0


async def test_people_join_a_group_that_is_there(api: Start, url: str) -> None:
    """Acknowledged or silenced makes no difference; a resolved group takes nobody; words of a new group do not fit.

    Rules: R-PAG-3
    """
    a = await api(*PEOPLE, integration(), url=url)
    group = await a.firing("u1")
    await a.post(f"/alert_groups/{group}/acknowledge")
    both = {"alert_group_id": group, "title": "new", "users": [{"id": "ann"}]}
    assert (await a.ask("POST", "/escalation", both)).problem["field"] == "title"
    shown = await a.post("/escalation", {"alert_group_id": group, "users": [{"id": "ann"}]})
    assert (shown["id"], [one["username"] for one in shown["paged"]]) == (group, ["ann"])
    assert await told(a) == ["default/ann"]
    await a.world.after(seconds=1)
    await a.post(f"/alert_groups/{group}/silence", {"delay": 3600})
    await a.post("/escalation", {"alert_group_id": group, "team": "infra", "important_team_escalation": True})
    assert sorted(await told(a)) == ["default/ann", "default/ann", "default/bob"]
    await a.post(f"/alert_groups/{group}/resolve")
    refused = await a.ask("POST", "/escalation", {"alert_group_id": group, "users": [{"id": "cat"}]})
    assert (refused.status, refused.problem["reason"]) == (400, "resolved")
    assert "default/cat" not in await told(a)


async def test_who_acknowledges_after_the_page_is_told_no_more(api: Start) -> None:
    """Only that person: an acknowledgement by somebody else does not end a page."""
    rules = {"rules": {"default": [{"notify": "push"}, {"wait": "5m"}, {"notify": "push"}]}}
    tokens = {name: name * 10 for name in ("ann", "cat")}
    given = parse_tokens("\n".join(f"{name} act {token:x<20}" for name, token in tokens.items()))
    a = await api(CHANNEL, responder("ann", **rules), responder("cat", **rules), integration(), tokens=given)

    def as_(name: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {tokens[name]:x<20}"}

    group = await a.firing("u1")
    body = {"alert_group_id": group, "users": [{"id": "ann"}, {"id": "cat"}]}
    assert (await a.ask("POST", "/escalation", body, headers=as_("cat"))).status == 200
    await a.world.dispatch.run_due()
    await a.world.after(minutes=1)
    assert (await a.ask("POST", f"/alert_groups/{group}/acknowledge", headers=as_("ann"))).status == 200
    await a.world.after(minutes=10)
    found = (await a.ask("GET", "/deliveries", headers=as_("ann"))).json["results"]
    assert sorted(one["responder"] for one in found) == ["default/ann", "default/cat", "default/cat"]


async def test_pages_and_their_ends_are_in_the_log(api: Start, url: str) -> None:
    """An entry per person; un-paging ends what they were still to be told, and is logged also if there was nothing to end.

    Rules: R-PAG-4
    """
    rules = {"rules": {"default": [{"wait": "5m"}, {"notify": "push"}]}}
    a = await api(CHANNEL, responder("ann", **rules), responder("bob", **rules), integration(), url=url)
    group = await a.firing("u1")
    users = [{"id": "ann"}, {"id": "bob", "important": True}]
    await a.post("/escalation", {"alert_group_id": group, "users": users})
    await a.world.after(minutes=1)
    await a.post(f"/alert_groups/{group}/unpage", {"user_id": "ann"})
    await a.post(f"/alert_groups/{group}/unpage", {"user_id": "default/ann"})
    await a.world.after(minutes=10)
    assert await told(a) == ["default/bob"]
    assert await log(a, group) == [
        ("direct_paging", "local", {"responder": "default/ann", "importance": "Default"}),
        ("direct_paging", "local", {"responder": "default/bob", "importance": "Important"}),
        ("unpage", "local", {"responder": "default/ann"}),
        ("unpage", "local", {"responder": "default/ann"}),
    ]
    shown = await a.get(f"/alert_groups/{group}")
    assert [one["responder"] for one in shown["paged"]] == ["default/bob"]


async def test_who_is_gone_can_be_unpaged(api: Start) -> None:
    """A Responder that is no longer declared is still shown as paged, without a name, and can be taken off."""
    a = await api(*PEOPLE, integration())
    group = await a.firing("u1")
    await a.post("/escalation", {"alert_group_id": group, "users": [{"id": "cat"}]})
    await a.world.delete("Responder", "cat")
    (shown,) = (await a.get(f"/alert_groups/{group}"))["paged"]
    assert (shown["responder"], shown["username"]) == ("default/cat", None)
    await a.post(f"/alert_groups/{group}/unpage", {"user_id": "default/cat"})
    assert (await a.get(f"/alert_groups/{group}"))["paged"] == []
    assert (await a.ask("POST", f"/alert_groups/{group}/unpage", {"user_id": "cat"})).status == 400


async def test_which_integration_a_page_comes_through(api: Start) -> None:
    """That of the people's namespace; else the only one without a team; else the one that is named."""
    far = paging("far")
    far["metadata"]["namespace"] = "else"
    a = await api(*PEOPLE, far)
    ann = [{"id": "ann"}]
    assert (await a.post("/escalation", {"users": ann}))["integration"] == "else/far"
    third = paging("third")
    third["metadata"]["namespace"] = "more"
    await a.world.apply(third)
    refused = (await a.ask("POST", "/escalation", {"users": ann})).problem
    assert refused["field"] == "integration"
    named = await a.post("/escalation", {"users": ann, "integration": "more/third"})
    assert named["integration"] == "more/third"
    await a.world.apply(paging())
    assert (await a.post("/escalation", {"users": ann}))["integration"] == "default/pages"


async def test_a_group_that_is_attached_takes_no_pages(api: Start) -> None:
    """It follows its root: the refusal names it."""
    a = await api(*PEOPLE, integration())
    one, two = await a.firing("u1"), await a.firing("u2")
    await a.post(f"/alert_groups/{two}/attach", {"parent_id": one})
    refused = await a.ask("POST", "/escalation", {"alert_group_id": two, "users": [{"id": "ann"}]})
    assert (refused.status, "#1" in refused.problem["detail"]) == (400, True)
