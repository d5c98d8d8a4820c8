"""What only the data plane knows of objects: last alerts, hits of routes, heartbeats, deliveries, and what fails."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from sqlalchemy import Connection

from tocsin.api.common import Identity
from tocsin.api.conditions import ConditionType
from tocsin.flow.model import Micros
from tocsin.flow.status import Delivering, Running
from tocsin.store import channelhealth, clock, heartbeats, hits, identities, webhookruns
from tocsin.store.heartbeats import Belief

EVERY = 60.0
"""Seconds between two looks: a status is written at most once a minute for these facts."""

_SLOT = 600_000_000
_DAY = 86_400_000_000
_SAMPLES = 1_000
_ALARM_FOR = 900_000_000
"""Microseconds that an alarm stays after its last cause."""

_STATES: Mapping[Belief, str] = {
    Belief.INACTIVE: "Waiting",
    Belief.ALIVE: "Alive",
    Belief.EXPIRED: "Expired",
}


class Ledger:
    """Counts on from where it was; `read` is called with a connection, from one thread at a time."""

    def __init__(self) -> None:
        self._after: int | None = None
        self._hits: dict[int, dict[tuple[Identity, Identity], int]] = defaultdict(dict)
        self._last: dict[Identity, Micros] = {}
        self._alarms: dict[tuple[Identity, ConditionType], tuple[Micros, str]] = {}

    def read(self, connection: Connection) -> Mapping[Identity, Running]:
        """All facts as they are now, by object."""
        now = clock.now(connection)
        if self._after is None:
            self._last = hits.last_alerts(connection)
            self._after = hits.last_before(connection, Micros(now - _DAY))
        newest = hits.newest(connection)
        self._count(connection, self._after, newest)
        self._sample(connection, self._after)
        self._after = newest
        self._forget(now)
        return self._facts(connection)

    def _count(self, connection: Connection, after: int, newest: int) -> None:
        for found in hits.count(connection, after=after, up_to=newest, slot=_SLOT):
            slot = self._hits[found.slot]
            key = (found.integration, found.route)
            slot[key] = slot.get(key, 0) + found.count
            self._last[found.integration] = max(self._last.get(found.integration, found.last), found.last)
            if found.digested:
                message = "more alerts came than spec.rateLimit keeps in full; they act, but their payloads are not kept"
                self._alarm(found.integration, ConditionType.RATE_LIMITED, found.last, message)

    def _sample(self, connection: Connection, after: int) -> None:
        """The newest outcomes are enough: a template that fails does so again and again."""
        for sample in hits.samples(connection, after=after, limit=_SAMPLES):
            for error in sample.outcome.errors:
                message = f"template {error.slot} failed ({error.kind}); the defaults were used. The traces of alerts say more"
                for identity in (sample.integration, *_route_of(error.slot)):
                    self._alarm(identity, ConditionType.TEMPLATE_ERRORS, sample.received_at, message)

    def _alarm(self, identity: Identity, kind: ConditionType, at: Micros, message: str) -> None:
        known = self._alarms.get((identity, kind))
        if known is None:
            self._alarms[identity, kind] = (at, message)
        elif at > known[0]:
            # The first message stays: one that changes with every alert would be written again and again.
            self._alarms[identity, kind] = (at, known[1])

    def _forget(self, now: Micros) -> None:
        for slot in [slot for slot in self._hits if slot < (now - _DAY) // _SLOT]:
            del self._hits[slot]
        for key in [key for key, (at, _) in self._alarms.items() if at < now - _ALARM_FOR]:
            del self._alarms[key]

    def _facts(self, connection: Connection) -> dict[Identity, Running]:
        default: dict[Identity, int] = defaultdict(int)
        matched: dict[Identity, int] = defaultdict(int)
        for slot in self._hits.values():
            for (integration, route), count in slot.items():
                if route == identities.DEFAULT:
                    default[integration] += count
                else:
                    matched[route] += count
        beats = {beat.integration: beat for beat in heartbeats.load(connection)}
        facts = {
            route: Running(matched_last_24h=matched.get(route, 0), alarms=dict(self._alarms_of(route)))
            for route in {*matched, *(i for i, _ in self._alarms if i.kind == identities.ROUTE)}
        }
        for integration in {*self._last, *beats, *default}:
            beat = beats.get(integration)
            facts[integration] = Running(
                last_alert=self._last.get(integration),
                default_route_hits=default.get(integration, 0),
                heartbeat_state="" if beat is None else _STATES[beat.belief],
                heartbeat_seen=None if beat is None else beat.last_seen,
                alarms=dict(self._alarms_of(integration)),
            )
        return {**facts, **dict(_deliveries(connection))}

    def _alarms_of(self, integration: Identity) -> Iterator[tuple[ConditionType, str]]:
        for (identity, kind), (_, message) in self._alarms.items():
            if identity == integration:
                yield kind, message


def _deliveries(connection: Connection) -> Iterator[tuple[Identity, Running]]:
    for channel in channelhealth.list_channels(connection):
        error = f"{channel.reason}: {channel.last_error}" if channel.reason else channel.last_error
        sent = Delivering(last=channel.last_sent, error=error, failing_since=channel.failing_since)
        yield _running("NotificationChannel", channel.channel, sent)
    for state in webhookruns.states(connection):
        failed = f"the answer was {state.status}" if state.failing_since is not None else ""
        run = Delivering(
            last=state.last_run,
            error=state.error or failed,
            failing_since=state.failing_since,
            status_code=state.status,
        )
        yield _running("OutgoingWebhook", state.webhook, run)


def failing_calendar(problem: str) -> Running:
    """What a schedule says whose calendar could not be fetched the last time."""
    return Running(alarms={ConditionType.CALENDAR_FAILING: problem})


def _running(kind: str, name: str, delivering: Delivering) -> tuple[Identity, Running]:
    alarms = {}
    if delivering.failing_since is not None:
        alarms[ConditionType.DELIVERY_FAILING] = delivering.error or "the last attempt failed"
    return Identity(kind, *name.split("/", 1)), Running(delivering=delivering, alarms=alarms)


def _route_of(slot: str) -> Iterator[Identity]:
    """The route whose template failed, if it was a route's: `route payments/critical`."""
    kind, _, name = slot.partition(" ")
    if kind == "route" and "/" in name:
        yield identities.route_identity(name)
