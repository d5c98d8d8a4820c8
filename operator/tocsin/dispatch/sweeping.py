"""Deleting what is old: a standing timer, once an hour, in bites that never make anybody wait."""

from __future__ import annotations

from sqlalchemy import Connection

from tocsin.dispatch import announcements
from tocsin.dispatch.clock import HOUR, SECOND
from tocsin.dispatch.dispatcher import Job
from tocsin.flow.model import Micros
from tocsin.store import claims, occurrences, retention
from tocsin.store.retention import Policy
from tocsin.telemetry import Telemetry

KIND = "retention"
SUBJECT = "all"
PERIOD = HOUR
BETWEEN_BITES = SECOND


class Sweeper:
    """The handler of `retention`. One bite per run; while something is left the next one follows a second later."""

    def __init__(self, telemetry: Telemetry, policy: Policy) -> None:
        self._log = telemetry.log
        self._policy = policy

    def run(self, connection: Connection, job: Job) -> Micros | None:
        swept = retention.sweep(connection, self._policy, job.now)
        occurrences.forget_ended(connection, Micros(job.now - self._policy.resolved_groups))
        claims.drop_stale(connection, announcements.KIND, Micros(job.now - announcements.KEPT_FOR))
        counts = {
            name: count
            for name in swept.__struct_fields__
            if name != "more" and (count := getattr(swept, name))
        }
        if counts:
            self._log.info("old data deleted", **counts)
        return Micros(job.now + (BETWEEN_BITES if swept.more else PERIOD))
