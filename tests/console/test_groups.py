"""Alert groups over the API: shape, filters, pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import pytest
from asking import Api
from dispatching import integration, obj

Start = Callable[..., Awaitable[Api]]

LABELS = obj(
    "LabelRule",
    "labels",
    integrationRefs=[{"name": "web"}],
    extract="{{ payload.labels | default({}) | tojson }}",
)


async def test_a_group_has_the_fields_of_oncalls_api(api: Start) -> None:
    """R-API-14's names and meanings, and Tocsin's own beside them."""
    route = obj("AlertRoute", "r", parentRefs=[{"name": "web"}], match={"template": "{{ payload.r }}"})
    a = await api(integration(team="core"), LABELS, route)
    await a.firing("u1", labels={"zone": "eu", "a": "1"}, r="true")
    await a.world.after(seconds=1.5)
    group_id = await a.firing("u1", r="true", note="second")
    (shown,) = (await a.get("/alert_groups"))["results"]
    assert shown["id"] == group_id
    expected = {
        "number": 1,
        "title": "u1",
        "state": "firing",
        "integration": "default/web",
        "team": "core",
        "team_id": None,
        "route": "default/r",
        "alerts_count": 2,
        "created_at": "2026-07-01T12:00:00Z",
        "last_alert_at": "2026-07-01T12:00:01.500000Z",
        "acknowledged_at": None,
        "acknowledged_by": None,
        "resolved_at": None,
        "resolved_by": None,
        "silenced_at": None,
        "parent_id": None,
        "permalinks": {"slack": None, "slack_app": None, "telegram": None, "web": None},
    }
    assert {key: shown[key] for key in expected} == expected
    assert shown["labels"] == [
        {"key": {"id": "a", "name": "a"}, "value": {"id": "1", "name": "1"}},
        {"key": {"id": "zone", "name": "zone"}, "value": {"id": "eu", "name": "eu"}},
    ]
    assert (shown["integration_id"][0], shown["route_id"][0], shown["id"][0]) == ("C", "R", "I")
    assert shown["last_alert"]["payload"]["note"] == "second"
    assert shown["last_alert"]["alert_group_id"] == group_id
    one = await a.get(f"/alert_groups/{group_id}/")
    telling = {"escalation": None, "personal": [], "paged": [], "posted": [], "deliveries": []}
    assert one == {**shown, "attached": [], **telling}


async def test_pages_by_number(api: Start) -> None:
    """count, next, previous, page_size, current_page_number, total_pages; past the end is the last page; nonsense is ignored."""
    a = await api(integration())
    made = [await a.firing(f"u{n}") for n in range(7)]
    first = await a.get("/alert_groups?perpage=3&state=firing")
    assert (first["count"], first["page_size"], first["current_page_number"], first["total_pages"]) == (
        7,
        3,
        1,
        3,
    )
    assert [g["id"] for g in first["results"]] == made[:3:-1]
    assert first["previous"] is None
    second = (await a.ask("GET", first["next"])).json
    assert [g["id"] for g in second["results"]] == made[3:0:-1]
    assert "state=firing" in second["next"] and "page=1" in second["previous"]
    last = await a.get("/alert_groups?perpage=3&page=99")
    assert ([g["id"] for g in last["results"]], last["next"], last["current_page_number"]) == (
        [made[0]],
        None,
        3,
    )
    odd = await a.get("/alert_groups?perpage=many&page=-2")
    assert (odd["page_size"], odd["current_page_number"], odd["count"]) == (50, 1, 7)
    assert (await a.get("/alert_groups?perpage=5000"))["page_size"] == 1000


async def test_pages_by_cursor_miss_nothing_while_groups_arrive(api: Start) -> None:
    """Walking by key: what is opened meanwhile shifts no page."""
    a = await api(integration())
    made = [await a.firing(f"u{n}") for n in range(7)]
    seen: list[str] = []
    page = await a.get("/alert_groups?perpage=2&cursor=")
    while True:
        seen += [g["id"] for g in page["results"]]
        await a.firing(f"late{len(seen)}")
        if page["next"] is None:
            break
        page = (await a.ask("GET", page["next"])).json
    assert seen == made[::-1]
    assert (await a.ask("GET", "/alert_groups?cursor=nonsense")).problem["field"] == "cursor"


async def test_filters(api: Start) -> None:
    """By state (also `new`), integration by name and id, route, text, time, id; all together."""
    route = obj("AlertRoute", "r", parentRefs=[{"name": "web"}], match={"template": "{{ payload.r }}"})
    a = await api(integration(), integration("db"), route)
    one = await a.firing("disk full", r="true")
    two = await a.firing("cpu")
    await a.world.after(hours=1)
    three = await a.firing("disk slow", "db")
    await a.post(f"/alert_groups/{two}/acknowledge")
    groups = (await a.get("/alert_groups"))["results"]
    by_id = {g["id"]: g for g in groups}

    async def found(query: str) -> list[str]:
        return [g["id"] for g in (await a.get(f"/alert_groups?{query}"))["results"]]

    assert await found("state=new") == [three, one] == await found("state=firing")
    assert await found("state=acknowledged") == [two]
    assert await found("state=acknowledged&state=new") == [three, two, one]
    assert await found("integration=default/db") == [three] == await found("integration=db")
    assert await found(f"integration_id={by_id[three]['integration_id']}") == [three]
    assert await found(f"route_id={by_id[one]['route_id']}") == [one] == await found("route=default/r")
    assert await found("route=default") == [three, two]
    assert await found("search=DISK") == [three, one]
    assert await found("search=%232") == [two]
    assert await found(f"id={two}") == [two]
    assert await found(f"id={two}&state=firing") == []
    assert await found("started_at=2026-07-01T12:30:00_2026-07-01T14:00:00") == [three]
    assert await found("started_at=2026-07-01T11:00:00_2026-07-01T12:30:00&search=disk") == [one]
    for nobody in (
        "integration_id=CAAAAAAAAAAAA",
        "route_id=RAAAAAAAAAAAA",
        "id=IAAAAAAAAAAAA",
        "integration=default/none",
    ):
        assert await found(nobody) == []


async def test_labels_filter_exactly_and_together(api: Start) -> None:
    """`label=key:value`, repeatable, all must hold, names exact and case-sensitive.

    Rules: R-LBL-18
    """
    a = await api(integration(), LABELS)
    one = await a.firing("1", labels={"zone": "eu", "tier": "db"})
    two = await a.firing("2", labels={"zone": "eu", "tier": "web"})
    await a.firing("3", labels={"Zone": "EU"})

    async def found(query: str) -> list[str]:
        return [g["id"] for g in (await a.get(f"/alert_groups?{query}"))["results"]]

    assert await found("label=zone:eu") == [two, one]
    assert await found("label=zone:eu&label=tier:db") == [one]
    assert await found("label=zone:EU") == [] == await found("label=zone:e")


async def test_label_values_with_colons_and_bad_pairs(api: Start) -> None:
    """The first colon ends the key. What is no pair is refused, never ignored (unlike S-34)."""
    a = await api(integration(), LABELS)
    one = await a.firing("1", labels={"url": "https://x.example:8080/a"})
    await a.firing("2")
    page = await a.get("/alert_groups?label=url:https://x.example:8080/a")
    assert [g["id"] for g in page["results"]] == [one]
    for bad in ("zone", ":eu", ""):
        assert (await a.ask("GET", f"/alert_groups?label={bad}")).problem["field"] == "label"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("state=open", "state"),
        ("started_at=yesterday", "started_at"),
        ("started_at=2026-07-02T00:00:00_2026-07-01T00:00:00", "started_at"),
        ("started_at=2026-07-01T00:00:00", "started_at"),
        ("integration=a/b/c", "integration"),
        ("is_root=maybe", "is_root"),
        ("team_id=T1", "team_id"),
        ("lable=a:b", "lable"),
    ],
)
async def test_filters_that_mean_nothing_are_refused(api: Start, query: str, field: str) -> None:
    """400 naming the parameter: an unfiltered list would be worse than none."""
    a = await api(integration())
    reply = await a.ask("GET", f"/alert_groups?{query}")
    assert (reply.status, reply.problem["field"]) == (400, field)


async def test_counts_are_capped_at_ten_thousand(api: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the cap the count stays there and says so, and the list goes on by cursor."""
    from tocsin.console.api import paging
    from tocsin.store import groups

    monkeypatch.setattr(groups, "COUNT_CAP", 5)
    monkeypatch.setattr(paging, "COUNT_LIMIT", 5)
    a = await api(integration())
    made = [await a.firing(f"u{n}") for n in range(8)]
    page = await a.get("/alert_groups?perpage=5")
    assert (page["count"], page["count_capped"], page["total_pages"]) == (5, True, 1)
    rest = (await a.ask("GET", page["next"])).json
    assert [g["id"] for g in page["results"] + rest["results"]] == made[::-1]


async def test_the_log_of_a_group(api: Start) -> None:
    """Oldest first, kinds by number and name, who and by what way; in pages."""
    a = await api(integration())
    group = await a.firing("u1")
    await a.post(f"/alert_groups/{group}/acknowledge")
    log = await a.get(f"/alert_groups/{group}/log")
    assert [(e["type"], e["action"], e["author"], e["action_source"]) for e in log["results"]] == [
        (21, "registered", None, None),
        (22, "route_assigned", None, None),
        (0, "acknowledged", "local", 4),
    ]
    assert log["results"][0]["alert_id"].startswith("A")
    page = await a.get(f"/alert_groups/{group}/log?perpage=2")
    rest = await a.get(f"/alert_groups/{group}/log?perpage=2&after={page['next_after']}")
    assert (len(page["results"]), [e["type"] for e in rest["results"]], rest["next_after"]) == (2, [0], None)


async def test_moments_in_the_log_are_times_that_people_read(api: Start) -> None:
    """The end of a silence is a time as all others of the API, or says that there is none."""
    a = await api(integration())
    group = await a.firing("u1")
    await a.post(f"/alert_groups/{group}/silence", {"delay": 3600})
    await a.post(f"/alert_groups/{group}/silence", {"delay": -1})
    log = (await a.get(f"/alert_groups/{group}/log"))["results"]
    first, last = [e for e in log if e["action"] == "silenced"]
    end = datetime.fromisoformat(first["details"]["until"])
    assert end - datetime.fromisoformat(first["time"]) == timedelta(hours=1)
    assert last["details"]["until"] == "for ever"
