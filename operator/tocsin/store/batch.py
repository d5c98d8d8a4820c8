"""One transaction's worth of alerts: look up what is open, place every alert, write it all.

The rules are those of DESIGN section 5 (group identity, resolve with nothing open, empty grouping id, senders in HA
pairs, rate limit) and alert-flow sections 1, 5 and 11; what a signal makes of a group is `flow.groups`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from types import MappingProxyType

from msgspec.structs import replace

from tocsin.api import ids
from tocsin.api.common import Identity
from tocsin.api.ids import Disguise
from tocsin.flow.decision import Decision, Grouping, WindowInForce
from tocsin.flow.groups import (
    RENOTIFY_AFTER,
    START_DELAY_NEW,
    Action,
    Effect,
    Entry,
    GroupState,
    LogKind,
    State,
    Transition,
    Verb,
    collect,
    transition,
)
from tocsin.flow.model import Micros
from tocsin.store import actions, dialects, events, windows
from tocsin.store.arrivals import Arrival, Stored
from tocsin.store.backend import Call
from tocsin.store.bulk import Bulk
from tocsin.store.directory import Directory
from tocsin.store.identities import WINDOW, route_identity
from tocsin.store.numbers import Numbers
from tocsin.store.openings import COLUMNS, Key, Opening, Openings
from tocsin.store.pending import Opened, Pending
from tocsin.store.tables import alert_group, duplicate
from tocsin.store.text import TITLE_LIMIT, clean, cut, encode_outcome
from tocsin.store.timers import EXPIRE, UNSILENCE

DUPLICATE_WINDOW = 5 * 60 * 1_000_000
"""How long a delivery is recognised when the other sender of an HA pair repeats it."""

ORIGINS = MappingProxyType({"source": 0, "heartbeat": 1, "demo": 2})
GROUPINGS = MappingProxyType({Grouping.BY_ID: 0, Grouping.ALONE: 1, Grouping.FALLBACK: 2})

# looking a member up on its class costs ten times as much as a global (CPython 3.11)
_ALONE, _FALLBACK = Grouping.ALONE, Grouping.FALLBACK
_ACKNOWLEDGE, _RESOLVE = Verb.SOURCE_ACKNOWLEDGE, Verb.SOURCE_RESOLVE

_ANY = "JOIN group_tally AS y ON y.group_id = t.id WHERE {}"
_OPEN = _ANY + " AND t.resolved_at IS NULL AND t.grouping_key IS NOT NULL"
_CLOSED = _ANY + " AND t.resolved_at IS NOT NULL AND t.grouping_key IS NOT NULL ORDER BY t.id DESC LIMIT 1"


class Batch:
    """Lives for one transaction. `openings` is SQLite's memory of open groups, None on PostgreSQL."""

    def __init__(
        self, bulk: Bulk, directory: Directory, disguise: Disguise, openings: Openings | None
    ) -> None:
        self._bulk = bulk
        self._directory = directory
        self._disguise = disguise
        self._openings = openings
        self._pending = Pending(directory)
        self._groups: dict[int, Opening] = {}
        self._opened: dict[Key, list[Opening]] = {}
        self._closed: dict[Key, Opening] = {}
        self._duplicates: dict[Key, tuple[int, int, int]] = {}
        self._occurrences: dict[tuple[str, int, int], windows.Occurrence] = {}
        self._families: set[int] | None = None
        self._numbers: Numbers
        self._bodies: Iterator[bytes]
        self._found: Iterator[list[Opening] | None]
        self._body: bytes

    def store(self, calls: Sequence[Call], bodies: Iterator[bytes]) -> list[tuple[Stored, ...]]:
        """Place and write all alerts; one answer per call. `bodies`: the packed payloads in the alerts' order."""
        self._bodies = bodies
        arrivals = list(chain.from_iterable(calls))
        if arrivals:
            self._identify(arrivals)
            self._load(arrivals)
        answers = [self._place_all(call) for call in calls]
        self._pending.write(self._bulk)
        return answers

    def remember(self) -> None:
        """After the commit: what is open now is known to the next batch."""
        if self._openings is not None:
            for key, opened in self._opened.items():
                if opened:
                    self._openings.put(key, opened)
                else:
                    self._openings.drop(key)

    @property
    def keys(self) -> Iterable[Key]:
        """Grouping ids of the open groups that this batch may have changed."""
        changed = ((group.integration, group.key) for group in self._groups.values() if group.key is not None)
        return {*self._opened, *changed}

    # --- looking up ---

    def _identify(self, arrivals: list[Arrival]) -> None:
        wanted: set[Identity] = {a.integration for a in arrivals}
        for a in arrivals:
            if not self._directory.knows_route(a.decision.route):
                wanted.add(route_identity(a.decision.route))
            if a.decision.windows:
                wanted.update(window_identity(w) for w in a.decision.windows)
        self._directory.learn(self._bulk, wanted)

    def _load(self, arrivals: list[Arrival]) -> None:
        keys: list[Key | None] = []
        repeats: list[Key] = []
        for a in arrivals:
            integration = self._directory.number(a.integration)
            keys.append((integration, a.decision.grouping_key) if keyed(a) else None)
            if a.duplicate_key:
                repeats.append((integration, a.duplicate_key))
        wanted = {key for key in keys if key is not None}
        if self._bulk.arrays:
            self._lock(arrivals, wanted, repeats)
        self._load_open(wanted)
        if repeats:
            self._load_duplicates(list(dict.fromkeys(repeats)))
        self._found = iter([None if key is None else self._opened[key] for key in keys])
        groups = len(self._new_groups(arrivals)) if self._bulk.arrays else 0
        self._numbers = Numbers(self._bulk, alerts=len(arrivals), groups=groups)

    def _new_groups(self, arrivals: list[Arrival]) -> set[object]:
        """What will probably open a group: drawn in advance; a wrong guess costs a gap or one more statement."""
        new: set[object] = set()
        for at, a in enumerate(arrivals):
            integration, route = (
                self._directory.number(a.integration),
                self._directory.route(a.decision.route),
            )
            if not keyed(a):
                new.add(at)
            elif not (a.decision.acknowledge or a.decision.resolve):
                key = (integration, a.decision.grouping_key)
                if all(group.route != route for group in self._opened[key]):
                    new.add((*key, route))
        return new

    def _lock(self, arrivals: list[Arrival], keys: Iterable[Key], repeats: list[Key]) -> None:
        """Everything that another process could decide differently at the same time, in sorted order."""
        locks = [actions.group_lock(*key) for key in keys]
        locks += [dialects.lock_key("duplicate", *key) for key in set(repeats)]
        for a in arrivals:
            for window in a.decision.windows:
                integration = self._directory.number(a.integration)
                locks.append(
                    windows.occurrence_lock(
                        self._directory.number(window_identity(window)), integration, window.start
                    )
                )
        dialects.lock(self._bulk.connection, locks)

    def _load_open(self, keys: Iterable[Key]) -> None:
        missing: list[Key] = []
        for key in keys:
            known = None if self._openings is None else self._openings.get(key)
            if known is None:
                missing.append(key)
                self._opened[key] = []
            else:
                self._opened[key] = known
                for opening in known:
                    self._groups[opening.state.number] = opening
        by = ("integration_id", "grouping_key")
        for row in self._bulk.select(alert_group, COLUMNS, by, missing, _OPEN):
            opening = self._register(Opening.from_row(row))
            assert opening.key is not None
            self._opened[opening.integration, opening.key].append(opening)

    def _load_duplicates(self, keys: list[Key]) -> None:
        by = ("integration_id", "key")
        wanted = ("t.integration_id", "t.key", "t.alert_id", "t.group_id", "t.seen_at")
        rows = list(self._bulk.select(duplicate, wanted, by, keys))
        for integration, key, alert_id, group, seen_at in rows:
            self._duplicates[integration, bytes(key)] = (alert_id, group, seen_at)
        groups = {row[3] for row in rows} - self._groups.keys()
        for row in self._bulk.select(alert_group, COLUMNS, ("id",), [(group,) for group in groups], _ANY):
            self._register(Opening.from_row(row))

    def _register(self, opening: Opening) -> Opening:
        """One object per group and batch, whichever way it was found."""
        return self._groups.setdefault(opening.state.number, opening)

    def _latest_closed(self, key: Key) -> Opening | None:
        """The latest resolved group of this grouping id, whatever its route."""
        known = self._closed.get(key)
        if known is None:
            by = ("integration_id", "grouping_key")
            for row in self._bulk.select(alert_group, COLUMNS, by, [key], _CLOSED):
                known = self._closed[key] = self._register(Opening.from_row(row))
        return known

    # --- placing ---

    def _place_all(self, call: Call) -> tuple[Stored, ...]:
        if len(call) == 1:
            return (self._place(call[0], None),)
        shared: dict[bytes, int] = {}
        return tuple([self._place(arrival, shared) for arrival in call])

    def _place(self, a: Arrival, shared: dict[bytes, int] | None) -> Stored:
        self._body = next(self._bodies)
        opened = next(self._found)
        if a.duplicate_key:
            repeated = self._repeated(a)
            if repeated is not None:
                return repeated
        decision = a.decision
        # source signals have no effect on a fallback group: nobody knows whose they are
        signal = (decision.acknowledge or decision.resolve) and decision.grouping is not _FALLBACK
        group, late = (None, False) if opened is None else self._find(a, opened, signal=signal)
        alert_id = self._numbers.alert()
        created = group is None
        if group is None:
            group = self._open(a, alert_id)
            if opened is not None:
                opened.append(group)
        self._join(group, a, alert_id, shared)
        if signal:
            self._signal(group, opened or [], a, alert_id)
            if late:
                self._log_late(group, decision, a.now, alert_id)
        elif decision.grouping is _FALLBACK and not created:
            self._notify_again(group, a.now, alert_id)
        if a.expires_at is not None and group.state.resolved is None:
            self._pending.expire(group.state.number, a.expires_at)
        if a.duplicate_key:
            self._see(a, alert_id, group.state.number)
        return self._stored(group, alert_id, created=created, digested=a.digested)

    def _find(self, a: Arrival, opened: list[Opening], *, signal: bool) -> tuple[Opening | None, bool]:
        """The group that the alert joins, and whether it is a closed one that a late signal only leaves a note on."""
        group = _best(opened, self._directory.route(a.decision.route)) if opened else None
        if group is not None or not signal:
            return group, False
        if opened:
            return min(opened, key=_number), False
        group = self._latest_closed((self._directory.number(a.integration), a.decision.grouping_key))
        return group, group is not None

    def _repeated(self, a: Arrival) -> Stored | None:
        """The answer for what the other sender of a pair delivered already, None for what is new."""
        known = self._duplicates.get((self._directory.number(a.integration), a.duplicate_key))
        if known is None:
            return None
        alert_id, number, seen_at = known
        group = self._groups.get(number)
        if group is None or a.now - seen_at > DUPLICATE_WINDOW:
            return None
        if group.state.resolved is not None and not a.decision.resolve:
            return None
        if a.expires_at is not None and group.state.resolved is None:
            self._see(a, alert_id, number)
            self._pending.expire(number, a.expires_at)
            group.last_alert_at = max(group.last_alert_at, a.now)
            group.joined = True
            self._pending.touch(group)
        return self._stored(group, alert_id, created=False, duplicate=True, digested=a.digested)

    def _see(self, a: Arrival, alert_id: int, group: int) -> None:
        """From now on the same delivery is a duplicate of this alert."""
        key = (self._directory.number(a.integration), a.duplicate_key)
        self._duplicates[key] = (alert_id, group, a.now)
        self._pending.seen(*key, (alert_id, group, a.now))

    def _open(self, a: Arrival, alert_id: int) -> Opening:
        decision = a.decision
        integration = self._directory.number(a.integration)
        number = self._numbers.group()
        has_key = keyed(a)
        group = self._register(
            Opening(
                state=GroupState(number=number, started_at=a.now, keyed=has_key),
                integration=integration,
                route=self._directory.route(decision.route),
                grouping=GROUPINGS[decision.grouping if has_key else _ALONE],
                key=decision.grouping_key if has_key else None,
            )
        )
        group.fresh = True
        self._pending.touch(group)
        title = cut(clean(decision.title), TITLE_LIMIT)
        suppressed = False
        registered = Entry(kind=LogKind.REGISTERED, at=a.now)
        entries = (
            registered,
            Entry(kind=LogKind.ROUTE_ASSIGNED, at=a.now, details=(("route", decision.route),)),
        )
        self._pending.log(number, entries, alert_id)
        if not decision.resolve or decision.grouping is _FALLBACK:  # born resolved: nobody is told
            self._pending.tell(number, registered)
        if decision.windows:
            suppressed = self._cover(group, a, integration)
        if not suppressed:
            group.escalate_at = a.now + START_DELAY_NEW
        self._pending.opened[number] = Opened(title, alert_id, a.received_at, suppressed, a.origin == "demo")
        for key, value in decision.kept_labels:
            self._pending.labels.append((number, (clean(key), clean(value))))
        return group

    def _cover(self, group: Opening, a: Arrival, integration: int) -> bool:
        """Note the windows in force on a new group; whether any keeps it quiet."""
        collector: windows.Occurrence | None = None
        quiet = False
        for window in a.decision.windows:
            occurrence = self._occurrence(window, integration)
            if occurrence.ended_at is not None:
                continue
            quiet = True
            self._pending.memberships.append((occurrence.id, group.state.number))
            if window.mode == windows.MAINTENANCE and collector is None:
                collector = occurrence
        if collector is not None:
            parent = collector.group
            if parent is None:
                parent = windows.make_group(
                    self._bulk.connection, collector, a.now, number=self._numbers.group()
                )
                kept = replace(collector, group=parent)
                self._occurrences[_occurrence_key(collector)] = kept
            done = collect(group.state, parent, a.now)
            group.state = done.group
            self._pending.log(parent, done.parent_entries, None)
        return quiet

    def _occurrence(self, window: WindowInForce, integration: int) -> windows.Occurrence:
        key = (window.window, integration, window.start)
        known = self._occurrences.get(key)
        if known is None:
            number = self._directory.number(window_identity(window))
            known = windows.ensure(self._bulk.connection, window, number, integration)
            self._occurrences[key] = known
        return known

    def _join(self, group: Opening, a: Arrival, alert_id: int, shared: dict[bytes, int] | None) -> None:
        number = group.state.number
        group.count += 1
        group.last_alert_at = max(group.last_alert_at, a.now)
        group.joined = True
        self._pending.touch(group)
        payload_id = alert_id
        if a.digested:
            self._digest(group, alert_id)
        elif shared is not None:
            payload_id = shared.setdefault(a.payload, alert_id)
        self._pending.alerts.append(
            (
                alert_id,
                number,
                group.last_alert,
                group.count,
                a.received_at,
                a.now,
                self._directory.manifest(self._bulk, a.manifest),
                ORIGINS[a.origin],
                a.digested,
                payload_id,
                encode_outcome(a.decision.outcome),
                self._body if payload_id == alert_id else None,
            )
        )
        group.last_alert = alert_id

    def _digest(self, group: Opening, alert_id: int) -> None:
        """Over the rate limit only the first and the last payload of the group are kept."""
        group.digested += 1
        if group.digest_first is None:
            group.digest_first = alert_id
            return
        if group.digest_last is not None:
            self._pending.gone_payloads.append(group.digest_last)
        group.digest_last = alert_id

    # --- signals ---

    def _signal(self, group: Opening, opened: list[Opening], a: Arrival, alert_id: int) -> None:
        """Acknowledge, then resolve (alert-flow R-SIG-7): every open group of the grouping id, and the alert's own."""
        verbs = [_ACKNOWLEDGE] if a.decision.acknowledge else []
        if a.decision.resolve:
            verbs.append(_RESOLVE)
        born_resolved = group.count == 1 and a.decision.resolve
        for target in list(opened) if group in opened else [group, *opened]:
            for verb in verbs:
                done = transition(target.state, Action(verb=verb, at=a.now))
                self._apply(target, done, alert_id)
                if not born_resolved:
                    self._pending.tell(target.state.number, events.told(done.entries))
            if target.state.resolved is not None and target in opened:
                opened.remove(target)
                if target.key is not None:
                    self._closed[target.integration, target.key] = target

    def _apply(self, group: Opening, done: Transition, alert_id: int) -> None:
        if not done.entries:
            return
        number = group.state.number
        silence = group.state.silenced
        group.state = done.group
        group.changed = True
        self._pending.touch(group)
        self._pending.log(number, done.entries, alert_id)
        if Effect.STOP_ESCALATION in done.effects:
            group.escalate_at = None
        if silence is not None and silence.until is not None and Effect.CANCEL_UNSILENCE in done.effects:
            self._pending.cancel(UNSILENCE, number)
        if Effect.CANCEL_EXPIRY in done.effects:
            self._pending.cancel(EXPIRE, number)
        if done.children is not None and self._has_children(number):
            self._follow(number, done.children, alert_id)

    def _has_children(self, number: int) -> bool:
        if self._families is None:
            rows = self._bulk.select(
                alert_group, ("t.parent_id",), ("parent_id",), [(n,) for n in self._groups]
            )
            self._families = {row[0] for row in rows}
        return number in self._families

    def _follow(self, number: int, action: Action, alert_id: int) -> None:
        """Rare, so not clever: write what is pending, let the children follow in the database, read them again."""
        self._pending.write(self._bulk)
        changed = actions.follow_children(self._bulk.connection, number, action, alert=alert_id)
        for state in changed:
            known = self._groups.get(state.number)
            if known is not None:
                known.state = state
                if state.resolved is not None and known.key is not None:
                    opened = self._opened.get((known.integration, known.key), [])
                    if known in opened:
                        opened.remove(known)

    def _log_late(self, group: Opening, decision: Decision, at: Micros, alert_id: int) -> None:
        signal = "resolve" if decision.resolve else "acknowledge"
        entry = Entry(kind=LogKind.LATE_SIGNAL, at=at, details=(("signal", signal),))
        self._pending.log(group.state.number, (entry,), alert_id)

    def _notify_again(self, group: Opening, at: Micros, alert_id: int) -> None:
        """Nobody may sleep on a group that takes in alerts it cannot tell apart."""
        if group.state.state not in (State.ACKNOWLEDGED, State.SILENCED):
            return
        if group.renotified_at is not None and at - group.renotified_at < RENOTIFY_AFTER:
            return
        group.renotified_at = at
        group.changed = True
        entry = Entry(kind=LogKind.NOTIFIED_AGAIN, at=at)
        self._pending.log(group.state.number, (entry,), alert_id)
        self._pending.tell(group.state.number, entry)

    def _stored(
        self, group: Opening, alert_id: int, *, created: bool, digested: bool, duplicate: bool = False
    ) -> Stored:
        if not group.route_name:
            group.route_name = self._directory.route_name(self._bulk, group.route)
            group.public_id = self._disguise.id_of(ids.GROUP, group.state.number)
        return Stored(
            alert_id=self._disguise.id_of(ids.ALERT, alert_id),
            alert_group_id=group.public_id,
            number=group.state.number,
            state=group.state.state,
            route=group.route_name,
            created=created,
            duplicate=duplicate,
            digested=digested,
        )


def keyed(a: Arrival) -> bool:
    """Whether this alert can share a group. A demo alert never does (alert-flow R-DEM-4)."""
    return a.decision.grouping is not _ALONE and a.origin != "demo"


def window_identity(window: WindowInForce) -> Identity:
    namespace, _, name = window.window.partition("/")
    return Identity(WINDOW, namespace, name)


def _occurrence_key(occurrence: windows.Occurrence) -> tuple[str, int, int]:
    return (
        f"{occurrence.window.namespace}/{occurrence.window.name}",
        occurrence.integration_id,
        occurrence.start,
    )


def _best(opened: list[Opening], route: int) -> Opening | None:
    best = None
    for group in opened:
        if group.route == route and (
            best is None or (group.place, group.state.number) < (best.place, best.state.number)
        ):
            best = group
    return best


def _number(group: Opening) -> int:
    return group.state.number
