"""Windows, dead letters, dead timers and status over the API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from asking import Api
from dispatching import integration, window

from tocsin.api.common import Identity
from tocsin.flow.model import Micros
from tocsin.store import claims, deadletters, replicas, timers

Start = Callable[..., Awaitable[Api]]


async def bury(a: Api, body: bytes, media_type: str = "application/json", name: str = "web") -> int:
    letter = deadletters.Undelivered(
        integration=Identity("Integration", "default", name),
        body=body,
        reason="suspended",
        media_type=media_type,
        received_at=Micros(a.world.now - 1_000_000),
    )
    return await a.world.store.write(lambda c: deadletters.put(c, letter))


async def test_windows_tell_when(api: Start) -> None:
    """Open or not, since when, until when, and the next time; which Integrations they cover."""
    a = await api(
        integration(),
        window(
            "now", "Debug", start="2026-06-01T11:00", duration="2h", recurrence="FREQ=DAILY", timeZone="UTC"
        ),
        window("later", start="2026-08-01T11:00", duration="1h"),
        window("over", start="2026-01-01T11:00", duration="1h"),
    )
    later, now, over = (await a.get("/windows"))["results"]
    assert (now["window"], now["active"], now["start"], now["end"], now["next_start"]) == (
        "default/now",
        True,
        "2026-07-01T11:00:00Z",
        "2026-07-01T13:00:00Z",
        "2026-07-02T11:00:00Z",
    )
    assert (now["integrations"], now["running_for"], now["duration"]) == (
        ["default/web"],
        ["default/web"],
        7200,
    )
    assert (later["active"], later["start"], later["next_start"]) == (False, None, "2026-08-01T11:00:00Z")
    assert (over["active"], over["next_start"]) == (False, None)


async def test_dead_letters_are_listed_read_replayed_and_removed(api: Start) -> None:
    """A replay is a normal alert of now and takes the letter away; what is gone is 404."""
    a = await api(integration())
    one = await bury(a, b'{"alert_uid":"u1","title":"t","state":"alerting"}')
    two = await bury(a, b"not json")
    listed = await a.get("/dead_letters")
    assert [x["id"] for x in listed["results"]] == [two, one]
    assert listed["results"][1] == {
        "id": one,
        "integration": "default/web",
        "received_at": "2026-07-01T11:59:59Z",
        "reason": "suspended",
        "media_type": "application/json",
        "size": 49,
    }
    assert (await a.get(f"/dead_letters/{one}"))["body"].startswith('{"alert_uid"')
    (stored,) = await a.post(f"/dead_letters/{one}/replay")
    group = await a.get(f"/alert_groups/{stored['alert_group_id']}")
    assert (group["title"], group["received_at"], group["created_at"]) == (
        "t",
        "2026-07-01T11:59:59Z",
        "2026-07-01T12:00:00Z",
    )
    assert (await a.ask("POST", f"/dead_letters/{one}/replay", {})).status == 404
    assert (await a.ask("POST", f"/dead_letters/{two}/replay", {})).status == 400
    assert (await a.ask("DELETE", f"/dead_letters/{two}")).status == 204
    assert (await a.ask("DELETE", f"/dead_letters/{two}")).status == 404
    assert (await a.get("/dead_letters"))["results"] == []


async def test_dead_letters_in_pages(api: Start) -> None:
    """By cursor, newest first."""
    a = await api(integration())
    made = [await bury(a, b"{}") for _ in range(3)]
    first = await a.get("/dead_letters?perpage=2")
    rest = (await a.ask("GET", first["next"])).json
    assert [x["id"] for x in first["results"] + rest["results"]] == made[::-1]
    assert rest["next"] is None
    assert (await a.ask("GET", "/dead_letters?cursor=x")).problem["field"] == "cursor"


async def test_a_replay_needs_its_integration(api: Start) -> None:
    """Still deleted or suspended: refused in words, the letter stays."""
    a = await api(integration(), integration("off", suspend=True))
    gone = await bury(a, b"{}", name="gone")
    off = await bury(a, b"{}", name="off")
    for letter in (gone, off):
        reply = await a.ask("POST", f"/dead_letters/{letter}/replay", {})
        assert (reply.status, "replay" in reply.problem["action"]) == (400, True)
    assert len((await a.get("/dead_letters"))["results"]) == 2


async def test_a_form_is_replayed_as_a_form(api: Start) -> None:
    """The media type is kept with the body."""
    a = await api(integration(type="webhook"))
    letter = await bury(a, b"title=From+a+form&a=b", "application/x-www-form-urlencoded")
    (stored,) = await a.post(f"/dead_letters/{letter}/replay")
    (alert,) = (await a.get(f"/alerts?alert_group_id={stored['alert_group_id']}"))["results"]
    assert alert["payload"] == {"title": "From a form", "a": "b"}


async def test_dead_timers_are_seen_and_revived(api: Start) -> None:
    """With their error; revived they are due at once."""
    a = await api(integration())

    def kill(connection) -> None:
        timers.schedule(connection, timers.UNSILENCE, "7", a.world.now, data="1")
        (claimed,) = claims.claim(connection, "x", [timers.UNSILENCE], now=a.world.now)
        claims.bury(connection, claimed, "x", error="RuntimeError: boom", now=a.world.now)

    await a.world.store.write(kill)
    (dead,) = (await a.get("/dead_timers"))["results"]
    assert (dead["kind"], dead["subject"], dead["error"]) == ("unsilence", "7", "RuntimeError: boom")
    assert (await a.get("/status"))["dead_timers"] == 1
    await a.post("/dead_timers/revive", {"kind": "unsilence", "subject": "7"})
    assert (await a.get("/dead_timers"))["results"] == []
    assert (await a.ask("POST", "/dead_timers/revive", {"kind": "unsilence", "subject": "7"})).status == 404
    assert (await a.ask("POST", "/dead_timers/revive", {})).status == 400


async def test_status(api: Start) -> None:
    """Version, revision, live replicas, findings, groups by state."""
    a = await api(integration())
    await a.firing("u1")
    await a.world.store.write(lambda c: replicas.register(c, "r1", "all", "9.9"))
    shown = await a.get("/status")
    assert (shown["revision"], shown["findings"], shown["integrations"]) == (1, 3, 1)
    assert [(r["id"], r["role"], r["version"]) for r in shown["replicas"]] == [("r1", "all", "9.9")]
    assert shown["alert_groups"] == {"firing": 1, "acknowledged": 0, "silenced": 0, "resolved": 0}
