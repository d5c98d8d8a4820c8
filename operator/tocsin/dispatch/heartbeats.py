"""Heartbeats: when an Integration has been silent for too long, and when it is back.

Each declared heartbeat has one durable timer. Whoever records a signal moves it: to now if that ends an outage, else to
when the next signal is overdue. When the timer comes, everything is decided afresh from what is stored, so it may come
too early or too often.

Differences from alert-flow section 9 are DESIGN's: any interval, `required`, a deadline to the second, and one group per
outage that its own return resolves, whatever templates say.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection

from tocsin.api.common import Identity
from tocsin.dispatch import presence
from tocsin.dispatch.clock import MINUTE
from tocsin.dispatch.dispatcher import Job
from tocsin.dispatch.live import Live, catching_up
from tocsin.flow.decision import Decision
from tocsin.flow.groups import AUTOMATIC, Action, Actor, Verb
from tocsin.flow.heartbeat import outage_key
from tocsin.flow.model import HeartbeatFragment, Micros
from tocsin.flow.program import IntegrationProgram, Program
from tocsin.store import actions, claims, heartbeats, pulses, timers
from tocsin.store.arrivals import Arrival
from tocsin.store.heartbeats import Belief, Heartbeat
from tocsin.store.within import ingest_within
from tocsin.telemetry import Telemetry

PLAN = "heartbeat-plan"
PLAN_SUBJECT = "all"
PLAN_PERIOD = MINUTE

_NEVER = Micros(2**62)
"""Until a signal moves the timer."""


class Alert(NamedTuple):
    """An alert that a heartbeat makes, before it is stored."""

    payload: dict[str, Any]
    decision: Decision


class Heartbeats:
    """The handlers of `heartbeat` (one timer per Integration) and `heartbeat-plan` (one for all)."""

    def __init__(
        self, live: Live, telemetry: Telemetry, receiving: presence.Receiving = presence.here
    ) -> None:
        self._live = live
        self._log = telemetry.log
        self._receiving = receiving

    def check(self, connection: Connection, job: Job) -> Micros | None:
        """One heartbeat's timer has come: is it missing, back, or fine?"""
        program, now = self._live.program, job.now
        later = catching_up(connection, program, now)
        if later is not None:
            return later
        identity = Identity.parse(job.timer.subject)
        integration = program.integrations.get(identity)
        declared = declared_heartbeat(integration)
        if integration is None or declared is None:
            clear(connection, identity, now, reason="heartbeat no longer declared")
            return None
        observed = presence.read(connection)
        if observed is None or now - observed.seen > presence.LONGEST_PAUSE:
            return Micros(now + PLAN_PERIOD)  # nobody listens: whoever does again plans all deadlines anew
        beat = heartbeats.get(connection, identity) or _expect(connection, identity, now)
        if beat.belief is Belief.EXPIRED:
            if beat.last_seen is None or beat.last_seen <= beat.changed_at:
                return _NEVER
            beat = self._tell_return(connection, integration, beat, now)
        due = deadline(beat, declared, observed)
        if due is None:
            return _NEVER
        if due > now:
            return due
        self._tell_missing(connection, integration, beat, now)
        return _NEVER

    def plan(self, connection: Connection, job: Job) -> Micros | None:
        """Every declared heartbeat has its timer at the right time, and no other has one."""
        program, now = self._live.program, job.now
        later = catching_up(connection, program, now)
        if later is not None:
            return later
        observed = presence.read(connection) or presence.Presence(seen=now)
        known = {beat.integration: beat for beat in heartbeats.load(connection)}
        set_for = {timer.subject: timer.due_at for timer in timers.list_timers(connection, timers.HEARTBEAT)}
        for identity, integration in program.integrations.items():
            declared = declared_heartbeat(integration)
            if declared is None:
                continue
            beat = known.pop(identity, None) or _expect(connection, identity, now)
            due = _wake_at(beat, declared, observed, now)
            if set_for.pop(str(identity), None) != due:
                timers.schedule(connection, timers.HEARTBEAT, str(identity), due)
        for identity in known:
            clear(connection, identity, now, reason="heartbeat no longer declared")
        for subject in set_for:
            timers.cancel(connection, timers.HEARTBEAT, subject)
        return Micros(now + PLAN_PERIOD)

    def renew(self, connection: Connection, job: Job) -> Micros | None:
        """The standing timer `presence`: Tocsin is there to hear."""
        if self._receiving(connection, job.now):
            before = presence.read(connection)
            after = presence.renew(connection, job.now)
            if before is not None and after.gaps != before.gaps:
                claims.schedule_earlier(connection, PLAN, PLAN_SUBJECT, job.now)
        return Micros(job.now + presence.PERIOD)

    def _tell_missing(
        self, connection: Connection, integration: IntegrationProgram, beat: Heartbeat, now: Micros
    ) -> None:
        payload, decision = integration.heartbeat_missed(now, last_seen=beat.last_seen, outage=now)
        self._ingest(connection, integration, Alert(payload, decision), now)
        heartbeats.believe(connection, integration.identity, Belief.EXPIRED, now)
        self._log.info("heartbeat missing", integration=_name(integration.identity))

    def _tell_return(
        self, connection: Connection, integration: IntegrationProgram, beat: Heartbeat, now: Micros
    ) -> Heartbeat:
        before = pulses.last_seen(connection, integration.identity, outage_key(str(beat.changed_at)))
        payload, decision = integration.heartbeat_returned(now, last_seen=before, outage=beat.changed_at)
        self._ingest(connection, integration, Alert(payload, decision), now)
        heartbeats.believe(connection, integration.identity, Belief.ALIVE, now)
        self._log.info("heartbeat is back", integration=_name(integration.identity))
        return msgspec.structs.replace(beat, belief=Belief.ALIVE, changed_at=now)

    def _ingest(
        self, connection: Connection, integration: IntegrationProgram, alert: Alert, now: Micros
    ) -> None:
        arrival = Arrival(
            integration=integration.identity,
            decision=alert.decision,
            payload=msgspec.json.encode(integration.redact(alert.payload)),
            received_at=now,
            now=now,
            manifest=self._live.program.digest,
            origin="heartbeat",
        )
        ingest_within(connection, (arrival,))


def declared_heartbeat(integration: IntegrationProgram | None) -> HeartbeatFragment | None:
    """None for an Integration that has none, or is suspended."""
    if integration is None or integration.fragment.suspended:
        return None
    return integration.fragment.heartbeat


def deadline(beat: Heartbeat, declared: HeartbeatFragment, observed: presence.Presence) -> Micros | None:
    """When the present silence becomes an outage; None if no signal is expected (or it is one already).

    A required heartbeat is expected from the moment it is known (or was reset), any other from its first signal on.
    """
    if beat.belief is Belief.EXPIRED:
        return None
    since = beat.last_seen
    if since is None:
        if not declared.required:
            return None
        since = beat.changed_at
    return presence.deadline(since, declared.interval + declared.grace, observed.gaps)


def clear(
    connection: Connection, identity: Identity, now: Micros, *, reason: str, actor: Actor = AUTOMATIC
) -> None:
    """The heartbeat is no longer: its timer and its state go, and an outage that nothing can end any more is resolved."""
    beat = heartbeats.get(connection, identity)
    heartbeats.forget(connection, identity)
    if beat is not None:
        _resolve_outage(
            connection, beat, Action(verb=Verb.SOURCE_RESOLVE, at=now, actor=actor, reason=reason)
        )


def reset(connection: Connection, program: Program, identity: Identity, now: Micros, actor: Actor) -> bool:
    """Inactive until the next signal; an open outage is resolved. False if there is no such heartbeat."""
    declared = declared_heartbeat(program.integrations.get(identity))
    if declared is None:
        return False
    beat = heartbeats.get(connection, identity)
    heartbeats.reset(connection, identity, now)
    timers.cancel(connection, timers.HEARTBEAT, str(identity))
    claims.schedule_earlier(connection, timers.HEARTBEAT, str(identity), now)
    if beat is not None:
        action = Action(verb=Verb.SOURCE_RESOLVE, at=now, actor=actor, reason="heartbeat reset")
        _resolve_outage(connection, beat, action)
    return True


def _resolve_outage(connection: Connection, beat: Heartbeat, action: Action) -> None:
    if beat.belief is not Belief.EXPIRED:
        return
    key = outage_key(str(beat.changed_at))
    for number in pulses.open_groups(connection, beat.integration, key):
        actions.signal(connection, number, action)


def _expect(connection: Connection, identity: Identity, now: Micros) -> Heartbeat:
    heartbeats.believe(connection, identity, Belief.INACTIVE, now)
    return Heartbeat(integration=identity, belief=Belief.INACTIVE, last_seen=None, changed_at=now)


def _wake_at(
    beat: Heartbeat, declared: HeartbeatFragment, observed: presence.Presence, now: Micros
) -> Micros:
    if beat.belief is Belief.EXPIRED:
        back = beat.last_seen is not None and beat.last_seen > beat.changed_at
        return now if back else _NEVER
    due = deadline(beat, declared, observed)
    return _NEVER if due is None else due


def _name(identity: Identity) -> str:
    return f"{identity.namespace}/{identity.name}"
