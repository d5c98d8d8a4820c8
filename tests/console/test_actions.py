"""What people do to alert groups over the API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from asking import Api
from dispatching import integration, window

Start = Callable[..., Awaitable[Api]]


async def state(a: Api, group: str) -> str:
    return (await a.get(f"/alert_groups/{group}"))["state"]


async def test_every_state_change(api: Start) -> None:
    """Empty answers with 200; the group shows who, when and why."""
    a = await api(integration())
    group = await a.firing("u1")
    for action, expected in (
        ("acknowledge", "acknowledged"),
        ("unacknowledge", "firing"),
        ("resolve", "resolved"),
        ("unresolve", "firing"),
    ):
        reply = await a.ask("POST", f"/alert_groups/{group}/{action}/", {})
        assert (reply.status, reply.body, await state(a, group)) == (200, b"", expected)
    await a.post(f"/alert_groups/{group}/acknowledge")
    shown = await a.get(f"/alert_groups/{group}")
    assert (shown["acknowledged_by"], shown["acknowledged_at"], shown["acknowledged_cause"]) == (
        "local",
        "2026-07-01T12:00:00Z",
        "user",
    )


async def test_silence_and_unsilence(api: Start) -> None:
    """`delay` in seconds; -1 is for ever; the end is a durable timer."""
    a = await api(integration())
    group = await a.firing("u1")
    await a.post(f"/alert_groups/{group}/silence", {"delay": 1800})
    shown = await a.get(f"/alert_groups/{group}")
    assert (shown["state"], shown["silenced_until"]) == ("silenced", "2026-07-01T12:30:00Z")
    await a.world.after(minutes=30)
    assert await state(a, group) == "firing"
    await a.post(f"/alert_groups/{group}/silence", {"delay": -1})
    await a.world.after(days=30)
    assert await state(a, group) == "silenced"
    await a.post(f"/alert_groups/{group}/unsilence")
    assert await state(a, group) == "firing"


@pytest.mark.parametrize(
    "body", [{}, {"delay": -2}, {"delay": "5"}, {"delay": 1.5}, {"delay": True}, {"delay": 10**12}]
)
async def test_a_silence_without_a_sound_delay_is_refused(api: Start, body: dict[str, Any]) -> None:
    """Required, a whole number of seconds; nothing changes."""
    a = await api(integration())
    group = await a.firing("u1")
    reply = await a.ask("POST", f"/alert_groups/{group}/silence", body)
    assert (reply.status, reply.problem["field"], await state(a, group)) == (400, "delay", "firing")


async def test_the_impossible_is_refused_in_words(api: Start) -> None:
    """400 with the reason; an attached group follows its root."""
    a = await api(integration())
    one, two = await a.firing("u1"), await a.firing("u2")
    for action in ("unacknowledge", "unresolve", "unsilence", "unattach"):
        assert (await a.ask("POST", f"/alert_groups/{one}/{action}", {})).problem["reason"]
    await a.post(f"/alert_groups/{two}/attach", {"parent_id": one})
    refused = (await a.ask("POST", f"/alert_groups/{two}/acknowledge", {})).problem
    assert (refused["reason"], "act on #1" in refused["detail"]) == ("attached", True)
    await a.post(f"/alert_groups/{one}/acknowledge")
    shown = await a.get(f"/alert_groups/{one}")
    assert (shown["attached"], await state(a, two)) == ([two], "acknowledged")
    assert (await a.get(f"/alert_groups/{two}"))["parent_id"] == one
    await a.post(f"/alert_groups/{two}/unattach")
    assert (await a.get(f"/alert_groups/{two}"))["parent_id"] is None
    assert (await a.ask("POST", f"/alert_groups/{two}/attach", {"parent_id": two})).problem[
        "reason"
    ] == "same group"
    assert (await a.ask("POST", f"/alert_groups/{two}/attach", {"parent_id": "INOSUCHGROUPX"})).status == 404


async def test_wipe_is_what_delete_means_unless_told_otherwise(api: Start) -> None:
    """Wipe empties payloads and keeps the group; `mode=delete` removes it; any other mode is 400."""
    a = await api(integration())
    one, two = await a.firing("u1", secret="s"), await a.firing("u2")
    assert (await a.ask("DELETE", f"/alert_groups/{one}?mode=maybe")).status == 400
    assert (await a.ask("DELETE", f"/alert_groups/{one}")).status == 204
    shown = await a.get(f"/alert_groups/{one}")
    assert (shown["state"], shown["wiped"], shown["resolved_cause"]) == ("resolved", True, "wiped")
    assert [x["payload"] for x in (await a.get(f"/alerts?alert_group_id={one}"))["results"]] == [{}]
    assert (await a.ask("DELETE", f"/alert_groups/{two}", {"mode": "delete"})).status == 204
    assert (await a.ask("GET", f"/alert_groups/{two}")).status == 404
    assert (await a.get("/alerts"))["count"] == 1


async def test_resolving_the_maintenance_group_ends_the_maintenance(api: Start) -> None:
    """Other actions on it are refused; its groups start their escalation, and their log says who ended it."""
    a = await api(integration(), window(start="2026-07-01T11:00", duration="4h"))
    child = await a.firing("u1")
    collector = next(g for g in (await a.get("/alert_groups"))["results"] if g["maintenance"])
    assert (await a.ask("POST", f"/alert_groups/{collector['id']}/acknowledge", {})).problem[
        "reason"
    ] == "maintenance group"
    assert (await a.ask("POST", f"/alert_groups/{child}/acknowledge", {})).problem["reason"] == "attached"
    await a.post(f"/alert_groups/{collector['id']}/resolve")
    shown = await a.get(f"/alert_groups/{child}")
    assert (shown["parent_id"], shown["escalates_at"]) == (None, "2026-07-01T12:00:10Z")
    log = (await a.get(f"/alert_groups/{child}/log"))["results"]
    assert [e["author"] for e in log if e["action"] == "resumed"] == ["local"]


async def test_ending_one_window_by_hand_under_another(api: Start) -> None:
    """What the second window covers stays quiet, although it was opened before that one began."""
    a = await api(
        integration(),
        window("first", start="2026-07-01T11:00", duration="4h"),
        window("second", "Debug", start="2026-07-01T12:30", duration="4h"),
    )
    child = await a.firing("u1")
    collector = next(g for g in (await a.get("/alert_groups"))["results"] if g["maintenance"])
    await a.world.at("2026-07-01T13:00:00Z")
    await a.post(f"/alert_groups/{collector['id']}/resolve")
    assert (await a.get(f"/alert_groups/{child}"))["escalates_at"] is None
    await a.world.at("2026-07-01T16:30:00Z")
    assert (await a.get(f"/alert_groups/{child}"))["escalates_at"] == "2026-07-01T16:30:10Z"


async def test_acting_under_a_window_calls_nobody(api: Start) -> None:
    """Un-acknowledge during Debug: firing again, and quiet until the window ends."""
    a = await api(integration(), window("d", "Debug", start="2026-07-01T11:00", duration="2h"))
    group = await a.firing("u1")
    await a.post(f"/alert_groups/{group}/acknowledge")
    await a.post(f"/alert_groups/{group}/unacknowledge")
    shown = await a.get(f"/alert_groups/{group}")
    assert (shown["state"], shown["escalates_at"], shown["suppressed"]) == ("firing", None, True)
    await a.world.at("2026-07-01T13:00:00Z")
    assert (await a.get(f"/alert_groups/{group}"))["escalates_at"] == "2026-07-01T13:00:10Z"


async def test_a_late_acknowledge_does_not_undo_a_resolve(api: Start) -> None:
    """A person's click after the source's resolve is refused (unlike S-23); a late signal changes nothing (BUG-081)."""
    a = await api(integration())
    group = await a.firing("u1")
    await a.world.alert(alert_uid="u1", state="ok")
    assert (await a.ask("POST", f"/alert_groups/{group}/acknowledge", {})).problem["reason"] == "resolved"
    assert await state(a, group) == "resolved"


async def test_unknown_groups_and_members(api: Start) -> None:
    """404 for what is not there, 400 for members that mean nothing or bodies that are no object."""
    a = await api(integration())
    group = await a.firing("u1")
    assert (await a.ask("POST", "/alert_groups/IAAAAAAAAAAAA/acknowledge", {})).status == 404
    assert (await a.ask("POST", f"/alert_groups/{group}/acknowledge", {"force": True})).problem[
        "field"
    ] == "force"
    assert (await a.ask("POST", f"/alert_groups/{group}/acknowledge", raw=b"[]")).status == 400
    assert (await a.ask("POST", f"/alert_groups/{group}/acknowledge", raw=b"{")).status == 400
    assert (await a.ask("POST", f"/alert_groups/{group}/acknowledge", raw=b"")).status == 200
