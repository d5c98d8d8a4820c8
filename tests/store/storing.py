"""Builders that the store's tests share: decisions and arrivals with everything that does not matter filled in."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Any

from tocsin.api.common import Identity
from tocsin.flow.decision import Decision, Grouping, Outcome, WindowInForce
from tocsin.flow.groups import Action, Actor, Verb, Via
from tocsin.flow.model import Digest, Flow, IntegrationFragment, Micros, Target, digest_of, encode_fragment
from tocsin.store import Arrival, KeyRing, Store, Stored, actions, groups, logbook
from tocsin.store.groups import AlertGroup, GroupFilter
from tocsin.store.logbook import LogEntry

WEB = Identity("Integration", "shop", "web")
DB = Identity("Integration", "shop", "db")
KEYS = KeyRing((b"k" * 32,))
SECOND = 1_000_000
START = Micros(1_700_000_000 * SECOND)
ANN = Actor(name="ann", via=Via.WEB)
FALLBACK_KEY = b"fallback"
NO_FLOW = Digest("00" * 32)


def at(seconds: float) -> Micros:
    """A moment, in seconds after the tests' beginning."""
    return Micros(START + int(seconds * SECOND))


def decision(
    grouping_id: str = "cpu",
    *,
    route: str = "default",
    grouping: Grouping = Grouping.BY_ID,
    labels: Sequence[tuple[str, str]] = (),
    windows: tuple[WindowInForce, ...] = (),
    **more: Any,
) -> Decision:
    """`more`: acknowledge, resolve, title."""
    title = more.pop("title", f"{grouping_id} is high")
    keys = {Grouping.BY_ID: hashlib.sha256(grouping_id.encode("utf-8", "surrogatepass")).digest()}
    return Decision(
        route=route,
        target=Target(),
        title=title,
        grouping=grouping,
        grouping_id=grouping_id,
        grouping_key=keys.get(grouping, FALLBACK_KEY if grouping is Grouping.FALLBACK else b""),
        acknowledge=more.pop("acknowledge", False),
        resolve=more.pop("resolve", False),
        source_link="",
        labels=dict(labels),
        kept_labels=tuple(labels),
        windows=windows,
        outcome=Outcome(route=route, title=title, grouping=grouping.value, grouping_id=grouping_id),
    )


def arrival(grouping_id: str = "cpu", seconds: float = 0, *, of: Identity = WEB, **more: Any) -> Arrival:
    """`more`: any other field of Arrival, or of `decision`."""
    fields = {name: more.pop(name) for name in Arrival.__struct_fields__ if name in more}
    return Arrival(
        integration=of,
        decision=fields.pop("decision", None) or decision(grouping_id, **more),
        payload=fields.pop("payload", b'{"status":"firing"}'),
        received_at=at(seconds),
        now=at(seconds),
        manifest=fields.pop("manifest", NO_FLOW),
        **fields,
    )


async def send(store: Store, grouping_id: str = "cpu", seconds: float = 0, **more: Any) -> Stored:
    """One alert as one request."""
    (stored,) = await store.ingest((arrival(grouping_id, seconds, **more),))
    return stored


async def send_together(store: Store, *arrivals: Arrival) -> list[Stored]:
    """Each alert as a request of its own, all waiting at the same time."""
    answers = await asyncio.gather(*[store.ingest((one,)) for one in arrivals])
    return [stored for (stored,) in answers]


async def group(store: Store, number: int) -> AlertGroup:
    found = await store.read(lambda connection: groups.get(connection, number))
    assert found is not None
    return found


async def all_groups(store: Store, **wanted: Any) -> tuple[AlertGroup, ...]:
    """Oldest first."""
    page = await store.read(lambda c: groups.list_groups(c, GroupFilter(**wanted), limit=1000))
    return page.items[::-1]


async def log(store: Store, number: int) -> tuple[LogEntry, ...]:
    return await store.read(lambda connection: logbook.list_entries(connection, number, limit=1000))


async def kinds(store: Store, number: int) -> list[str]:
    """The log as names of its kinds."""
    return [entry.kind.name for entry in await log(store, number)]


async def act(store: Store, number: int, verb: Verb, seconds: float = 0, **more: Any) -> actions.Acted:
    action = Action(verb=verb, at=at(seconds), actor=more.pop("actor", ANN), **more)
    return await store.write(lambda connection: actions.act(connection, number, action))


async def signal(
    store: Store, number: int, verb: Verb, seconds: float = 0, **more: Any
) -> actions.Acted | None:
    action = Action(verb=verb, at=at(seconds), **more)
    return await store.write(lambda connection: actions.signal(connection, number, action))


def window(
    name: str = "shop/night",
    *,
    mode: str = "Maintenance",
    on_end: str = "Resume",
    start: float = 0,
    end: float = 100,
) -> WindowInForce:
    return WindowInForce(window=name, mode=mode, start=at(start), end=at(end), on_end=on_end)


def flow(*names: str, title: str = "") -> Flow:
    """A flow of Integrations with these names."""
    fragments = [
        IntegrationFragment(namespace="shop", name=name, type="webhook", title=title) for name in names
    ]
    manifest = {fragment.identity: digest_of(encode_fragment(fragment)) for fragment in fragments}
    return Flow(
        manifest=manifest,
        fragments={manifest[fragment.identity]: fragment for fragment in fragments},
        digest=digest_of(repr(sorted(manifest.items())).encode()),
    )
