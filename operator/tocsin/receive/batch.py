"""From the value of a body to evaluated alerts, ready for the store.

Everything here runs without waiting, and what it returns no longer refers to the payloads: while a request waits for its
commit, the memory of its payload already serves the next one, which keeps it in the processor's caches.
"""

from __future__ import annotations

import asyncio

import msgspec

from tocsin.flow.arrival import NotAnAlert, Payload, alerts_of, duplicate_key, expires_at
from tocsin.flow.model import Micros
from tocsin.flow.program import IntegrationProgram
from tocsin.problems import Problem, ProblemError, malformed, unavailable
from tocsin.receive.content import Content
from tocsin.receive.endpoints import Endpoint
from tocsin.receive.environment import Environment
from tocsin.receive.jsonbody import Notes, encode_json
from tocsin.sources.model import SourceType
from tocsin.store.arrivals import Arrival

_YIELD_EVERY = 32
"""Alerts of one body that are evaluated before other requests get a turn."""


class Batch(msgspec.Struct, frozen=True):
    """The alerts of one body. `as_list`: the sender sent a list, so it gets a list."""

    payloads: tuple[Payload, ...]
    notes: Notes
    as_list: bool


class Evaluation:
    """Turns bodies into alerts and alerts into arrivals, within the limits of the settings."""

    def __init__(self, environment: Environment) -> None:
        self._settings = environment.settings
        self._tallies = environment.tallies
        self._seconds = environment.seconds

    def split(self, source: SourceType, content: Content, now: Micros) -> Batch:
        """Raises ProblemError: 400 if no alert can be made of it, 413 or 503 if it is too many.

        The empty list is no alert; senders of Alertmanager's API may send it.
        """
        try:
            payloads = alerts_of(source, content.value, now)
        except NotAnAlert as error:
            raise ProblemError(malformed(str(error))) from None
        count = len(payloads)
        if not count and not source.api_v2:
            raise ProblemError(malformed("the list holds no alert", action="send at least one object"))
        if (
            count > self._settings.alerts_limit
            or self._tallies.waiting + count > self._settings.waiting_limit
        ):
            raise ProblemError(self._too_many(count))
        return Batch(payloads, content.notes, count != 1 or type(content.value) is list)

    def arrival(
        self, endpoint: Endpoint, program: IntegrationProgram, payload: Payload, notes: Notes, now: Micros
    ) -> Arrival:
        """Raises ProblemError (400): nested too deeply. What the templates do wrong is part of the decision."""
        source = program.type
        limiter = endpoint.limiter
        encoded = encode_json(payload)
        if program.fragment.redact:
            encoded = encode_json(program.redact(payload))
        return Arrival(
            integration=endpoint.identity,
            decision=program.evaluate(payload, now, notes=notes),
            payload=encoded,
            received_at=now,
            now=now,
            manifest=endpoint.manifest,
            duplicate_key=duplicate_key(source, payload),
            expires_at=expires_at(source, payload, now) if source.expires else None,
            digested=limiter is not None and not limiter.take(self._seconds()),
        )

    async def arrivals(
        self, endpoint: Endpoint, program: IntegrationProgram, batch: Batch, now: Micros
    ) -> tuple[Arrival, ...]:
        """All alerts of a long body; other requests get their turns meanwhile."""
        arrivals: list[Arrival] = []
        for position, payload in enumerate(batch.payloads, start=1):
            arrivals.append(self.arrival(endpoint, program, payload, batch.notes, now))
            if position % _YIELD_EVERY == 0:
                await asyncio.sleep(0)
        return tuple(arrivals)

    def _too_many(self, count: int) -> Problem:
        limit = self._settings.alerts_limit
        if count <= limit:
            return unavailable("overloaded", "too many alerts wait to be stored")
        return Problem(
            status=413,
            kind="too-many-alerts",
            detail=f"the body holds {count} alerts; at most {limit} are taken at once",
            field="body",
            action="send them in several requests",
            facts=(("limit", limit),),
        )
