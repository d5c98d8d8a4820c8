"""Ends that come by themselves: of a silence, and of an alert whose source stopped sending it."""

from __future__ import annotations

from sqlalchemy import Connection

from tocsin.dispatch import presence
from tocsin.dispatch.clock import MINUTE
from tocsin.dispatch.dispatcher import Job
from tocsin.flow.groups import Action, Verb
from tocsin.flow.model import Micros
from tocsin.store import actions, groups, occurrences

RESEND_GRACE = 5 * MINUTE
"""How long a source has to send its alerts again after Tocsin was down: Prometheus repeats them every minute."""


def end_silence(connection: Connection, job: Job) -> Micros | None:
    """`unsilence`: the silence whose end the timer carries is over, unless a later one took its place.

    The group and all attached to it fire again and escalate from the start (not as alert-flow S-24: children follow);
    under a maintenance window escalation waits for its end.
    """
    number, until = int(job.timer.subject), Micros(int(job.timer.data or job.timer.due_at))
    action = Action(verb=Verb.SILENCE_ENDED, at=job.now, until=until, reason="the silence is over")
    done = actions.signal(connection, number, action)
    if done is not None:
        occurrences.hold(connection, done.affected)
    return None


def expire(connection: Connection, job: Job) -> Micros | None:
    """`expire`: the source's own end of its alert has come and it was not sent again: resolved by source.

    After a downtime of Tocsin the source first gets time to send it again.
    """
    number = int(job.timer.subject)
    observed = presence.read(connection)
    if observed is not None:
        if job.now - observed.seen > presence.LONGEST_PAUSE:
            return Micros(job.now + MINUTE)
        gap = presence.last_gap(observed.gaps, job.now)
        group = (
            groups.get(connection, number) if gap is not None and job.now < gap.end + RESEND_GRACE else None
        )
        if gap is not None and group is not None and group.last_alert_at < gap.end:
            return Micros(gap.end + RESEND_GRACE)
    action = Action(verb=Verb.SOURCE_RESOLVE, at=job.now, reason="not sent again before its end (endsAt)")
    actions.signal(connection, number, action)
    return None
