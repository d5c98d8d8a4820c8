"""A world in virtual time: the real store, compiler, evaluator and dispatcher; only the clock is ours."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import yaml
from sqlalchemy import Connection, select

from tocsin.api.common import Identity
from tocsin.api.objects import parse_object
from tocsin.dispatch import heartbeats, presence, reminders
from tocsin.dispatch.service import PRESENCE, Dispatch, Options
from tocsin.flow.arrival import alerts_of, expires_at
from tocsin.flow.compiler import compile_flow
from tocsin.flow.groups import Action, Actor, Verb, Via
from tocsin.flow.inventory import Inventory
from tocsin.flow.model import EMPTY_FLOW, Flow, Micros
from tocsin.flow.program import Program, link
from tocsin.sources import load_types
from tocsin.store import (
    Arrival,
    KeyRing,
    Store,
    Stored,
    actions,
    agenda,
    deliveries,
    groups,
    logbook,
    posted,
    pulses,
    revisions,
)
from tocsin.store import heartbeats as beats
from tocsin.store.deliveries import DeliveryState, Outcome
from tocsin.store.posted import Posted
from tocsin.store.tables import timer, window_occurrence
from tocsin.telemetry import Telemetry

TYPES = load_types()
KEYS = KeyRing((b"k" * 32,))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ANN = Actor(name="ann", via=Via.API)
FOR_EVER = 2**62


_migrated: list[bytes] = []


async def new_database(path: Path) -> str:
    """The URL of a database that is migrated already: migrating takes longer than most tests."""
    if not _migrated:
        await (await Store.open(f"sqlite:///{path}", keys=KEYS)).close()
        assert not path.with_name(path.name + "-wal").exists()
        _migrated.append(path.read_bytes())
    path.write_bytes(_migrated[0])
    return f"sqlite:///{path}"


def micros(text: str) -> Micros:
    """RFC 3339 with offset or Z."""
    return Micros((datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1))


def shown(moment: int) -> str:
    text = (EPOCH + timedelta(microseconds=moment)).isoformat()
    return text.replace("+00:00", "Z")


def obj(kind: str, name: str, **spec: Any) -> dict:
    return {
        "apiVersion": "tocsin.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    }


def integration(name: str = "web", type: str = "formatted_webhook", **spec: Any) -> dict:  # noqa: A002
    return obj("Integration", name, type=type, **spec)


def window(name: str = "w", mode: str = "Maintenance", *, start: str, duration: str, **more: Any) -> dict:
    schedule = {"start": start, "duration": duration}
    schedule |= {k: more.pop(k) for k in ("timeZone", "recurrence", "exceptions") if k in more}
    more.setdefault("integrationRefs", [{"name": "web"}])
    return obj("MaintenanceWindow", name, mode=mode, schedule=schedule, **more)


@dataclass
class VirtualClock:
    moment: Micros

    def now(self, _connection: Connection) -> Micros:
        return self.moment

    async def wait(self, duration: int, woken: asyncio.Event) -> None:
        """Time passes only here: as much as was asked for, unless somebody woke the waiter."""
        await asyncio.sleep(0)
        if not woken.is_set():
            self.moment = Micros(self.moment + max(duration, 1))


@dataclass
class Live:
    program: Program = field(default_factory=lambda: link(EMPTY_FLOW, types=TYPES))


class World:
    """`at` advances, doing everything that falls due on the way, at its moment."""

    def __init__(self, url: str, at: str) -> None:
        self.url = url
        self.clock = VirtualClock(micros(at))
        self.live = Live()
        self.objects: dict[tuple[str, str], dict] = {}
        self.log = io.StringIO()
        self.told: list[str] = []
        self.orders: list[tuple[str, dict[str, Any]]] = []
        self.options = Options()
        self.store: Store
        self.dispatch: Dispatch

    @property
    def now(self) -> Micros:
        return self.clock.moment

    async def open(self) -> None:
        self.store = await Store.open(self.url, keys=KEYS)
        telemetry = Telemetry.create(stream=self.log, process_metrics=False, level="debug")
        self.dispatch = Dispatch(
            self.store, self.live, telemetry=telemetry, clock=self.clock, options=self.options
        )
        await self.dispatch.start()

    async def close(self) -> None:
        await self.store.close()

    async def restart(self, after: int = 0) -> None:
        """The process ends and starts again, `after` seconds later."""
        await self.dispatch.renew()
        await self.close()
        self.clock.moment = Micros(self.now + after * 1_000_000)
        await self.open()
        await self.run()

    # --- what is declared ---

    async def apply(self, *objects: dict) -> None:
        for one in objects:
            self.objects[one["kind"], one["metadata"]["name"]] = one
        await self._publish()

    async def delete(self, kind: str, name: str) -> None:
        del self.objects[kind, name]
        await self._publish()

    async def _publish(self) -> None:
        inventory = Inventory.of([parse_object(o) for o in self.objects.values()])
        flow: Flow = compile_flow(inventory, types=TYPES, now=self.now).flow
        await self.store.write(lambda c: revisions.publish(c, flow, 1))
        self.live.program = link(flow, types=TYPES, previous=self.live.program)
        await self.dispatch.follow()

    # --- time ---

    async def run(self) -> None:
        """Everything that is due at this moment."""
        await self.store.write(self._present)
        await self.dispatch.run_due()
        await self.store.write(self._deliver)

    async def at(self, text: str) -> None:
        """Advance to this moment."""
        target = micros(text)
        while (due := await self.store.read(self._next_event)) is not None and due <= target:
            self.clock.moment = Micros(max(due, self.now))
            await self.run()
        self.clock.moment = target
        await self.run()

    async def after(self, **duration: float) -> None:
        await self.at(shown(self.now + timedelta(**duration) // timedelta(microseconds=1)))

    def _present(self, connection: Connection) -> None:
        presence.renew(connection, self.now, longest_pause=FOR_EVER)

    def _next_event(self, connection: Connection) -> Micros | None:
        """The next timer, without those that come every few seconds all the time."""
        kinds = set(self.dispatch.dispatcher._handlers) - {PRESENCE, heartbeats.PLAN, "retention"}
        query = select(timer.c.due_at).where(timer.c.kind.in_(kinds)).order_by(timer.c.due_at)
        moments = [connection.scalar(query.limit(1)), agenda.look(connection).next_due]
        return min((Micros(moment) for moment in moments if moment is not None), default=None)

    def _deliver(self, connection: Connection) -> None:
        """Everybody gets what is sent to them at once, and every channel can edit."""
        for one in deliveries.claim(connection, "world", limit=10_000, now=self.now, lease=1):
            done = Outcome(id=one.id, attempts=one.attempts, state=DeliveryState.DELIVERED, at=self.now)
            deliveries.record(connection, [done])
            to = one.channel if not one.responder else f"{one.responder} by {one.contact}"
            data = msgspec.json.decode(one.data)
            if one.kind != deliveries.ANNOUNCEMENT:  # `announced` shows those
                self.told.append(f"{one.kind} to {to} about #{one.group}")
            self.orders.append((one.key, data))
            group = groups.get(connection, one.group or 0)
            if one.kind in (deliveries.GROUP, deliveries.UPDATE) and group is not None:
                message = Posted(
                    group=group.number,
                    channel=one.channel,
                    reference=one.key,
                    shown="",
                    alerts_count=group.alerts_count,
                    state=group.state,
                    posted_at=self.now,
                    updated_at=self.now,
                )
                posted.put(connection, message)

    # --- what happens from outside ---

    async def alert(self, name: str = "web", /, **payload: Any) -> Stored:
        program = self.live.program.integrations[Identity("Integration", "default", name)]
        (payload,) = alerts_of(program.type, payload, self.now)
        arrival = Arrival(
            integration=program.identity,
            decision=program.evaluate(payload, self.now),
            payload=msgspec.json.encode(payload),
            received_at=self.now,
            now=self.now,
            manifest=self.live.program.digest,
            expires_at=expires_at(program.type, payload, self.now),
        )
        (stored,) = await self.store.ingest((arrival,))
        return stored

    async def beat(self, name: str = "web") -> None:
        """As the receiver records it, and what that sets off at once."""
        program = self.live.program.integrations[Identity("Integration", "default", name)]
        declared = program.fragment.heartbeat
        assert declared is not None
        span = declared.interval + declared.grace
        await self.store.write(lambda c: pulses.record(c, program.identity, span, self.now))
        await self.run()

    async def act(self, number: int, verb: str, **more: Any) -> None:
        action = Action(verb=Verb(verb), at=self.now, actor=ANN, **more)
        await self.store.write(lambda c: actions.act(c, number, action))

    # --- what can be seen ---

    async def group(self, number: int) -> groups.AlertGroup:
        found = await self.store.read(lambda c: groups.get(c, number))
        assert found is not None, number
        return found

    async def groups(self) -> list[groups.AlertGroup]:
        page = await self.store.read(lambda c: groups.list_groups(c, groups.GroupFilter(), limit=1000))
        return sorted(page.items, key=lambda g: g.number)

    async def entries(self, number: int) -> list[tuple[str, str]]:
        """The group's log: kind and reason."""
        found = await self.store.read(lambda c: logbook.list_entries(c, number, limit=1000))
        return [(e.kind.name.lower(), e.reason) for e in found]

    async def heartbeat(self, name: str = "web") -> str:
        found = await self.store.read(lambda c: beats.get(c, Identity("Integration", "default", name)))
        return "none" if found is None else str(found.belief)

    async def announced(self) -> list[str]:
        found = await self.store.read(lambda c: deliveries.list_deliveries(c, limit=10_000))
        told = {
            (d.created_at, d.data): msgspec.json.decode(d.data)
            for d in sorted(found, key=lambda one: one.id)
            if d.kind == deliveries.ANNOUNCEMENT
        }
        return [
            f"{shown(at)} {d['event']} {d['window']} {','.join(d['channels'])}" for (at, _), d in told.items()
        ]

    async def view(self) -> dict[str, str]:
        """Everything that a timeline shows, by what it is about."""
        found: dict[str, str] = {}
        for g in await self.groups():
            text = str(g.state)
            if g.parent is not None:
                text += f", in #{g.parent}"
            if g.escalate_at is not None:
                text += f", escalates at {shown(g.escalate_at)[11:]}"
            elif g.state == "firing":
                text += ", quiet"
            found[f"#{g.number} {g.title}"] = text
        for row in await self.store.read(_occurrences):
            found[f"{row[0]} on {row[1]}"] = row[2]
        for beat in await self.store.read(beats.load):
            found[f"heartbeat of {beat.integration.name}"] = str(beat.belief)
        for line in await self.announced():
            found[f"announce {line}"] = "told"
        return found


def _occurrences(connection: Connection) -> list[tuple[str, str, str]]:
    from tocsin.store import occurrences

    rows = [*occurrences.running(connection), *occurrences.recent(connection)]
    latest: dict[tuple[str, str], Any] = {}
    for row in sorted(rows, key=lambda r: (r.start, r.id)):
        latest[row.window, row.integration.name] = row
    return [
        (
            f"window {name}",
            integration,
            "ended" if r.ended_at is not None else f"{r.mode} until {shown(r.end)}",
        )
        for (name, integration), r in sorted(latest.items())
    ]


def count_occurrences(connection: Connection) -> int:
    return len(connection.execute(select(window_occurrence.c.id)).all())


# --- timelines ---


async def play(world: World, steps: list[dict]) -> list[str]:
    """Runs the steps of a timeline; what changed, when, in order."""
    told: list[str] = []
    before = await world.view()
    heard = len(world.told)

    async def note(title: str = "") -> None:
        nonlocal before, heard
        after = await world.view()
        at = shown(world.now)
        if title:
            told.append(f"{at} > {title}")
        told.extend(f"{at}   {line}" for line in world.told[heard:])
        heard = len(world.told)
        for key in [*before, *(k for k in after if k not in before)]:
            forgotten = before.get(key) in ("ended", "told") and key not in after
            if before.get(key) != after.get(key) and not forgotten:
                told.append(f"{at}   {key}: {after.get(key, 'gone')}")
        before = after

    for step in steps:
        target = micros(step["at"])
        if not step.get("down"):
            await _pass(world, target, note)
        await note(await _do(world, step, target))
    return told


async def _pass(world: World, target: Micros, note: Callable[[], Awaitable[None]]) -> None:
    """Time goes by until `target`, with all that falls due on the way."""
    while (due := await world.store.read(world._next_event)) is not None and due <= target:
        world.clock.moment = Micros(max(due, world.now))
        await world.run()
        await note()
    world.clock.moment = target
    await world.run()
    await note()


async def _do(world: World, step: dict, target: Micros) -> str:
    match step:
        case {"alert": payload}:
            stored = await world.alert(step.get("to", "web"), **payload)
            await world.run()
            return f"alert: #{stored.number} {stored.state}"
        case {"beat": name}:
            await world.beat(name)
            return f"signal of {name}"
        case {"apply": objects}:
            await world.apply(*objects)
            await world.run()
            return "applied " + ", ".join(f"{o['kind']}/{o['metadata']['name']}" for o in objects)
        case {"delete": what}:
            await world.delete(*what.split("/"))
            await world.run()
            return f"deleted {what}"
        case {"restart": _}:
            await world.restart()
            return "restart"
        case {"down": _}:
            await world.restart(after=(target - world.now) // 1_000_000)
            return "up again"
        case {"confirm": number}:
            await world.store.write(lambda c: reminders.confirm(c, number, "ann", world.now))
            return f"ann confirms #{number}"
        case {"act": verb, "group": number}:
            until = micros(step["until"]) if "until" in step else None
            await world.act(number, verb, until=until)
            await world.run()
            return f"{verb} #{number}"
        case _:
            return "..."


def declared(flow: list[dict]) -> list[dict]:
    """Objects of a timeline: version and namespace need not be said."""
    common = {"apiVersion": "tocsin.dev/v1alpha1"}
    return [{**common, **o, "metadata": {"namespace": "default", **o["metadata"]}} for o in flow]


def read_yaml(text: str) -> Any:
    return yaml.safe_load(text)
