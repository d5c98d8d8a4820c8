"""What goes wrong with requests, counted and logged with the Integration's name, never with a path or a token.

Faults of senders come in floods; each kind is logged at most once in ten seconds per Integration, with the number that
was left out.
"""

from __future__ import annotations

from tocsin.problems import Problem
from tocsin.receive.answers import Answer
from tocsin.receive.endpoints import Endpoint
from tocsin.receive.environment import Environment

QUIET = 10.0
"""Seconds between two log lines about the same thing."""

_MOST_REMEMBERED = 10_000


class FaultLog:
    def __init__(self, environment: Environment) -> None:
        self._log = environment.telemetry.log
        self._tallies = environment.tallies
        self._seconds = environment.seconds
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def refused(self, endpoint: Endpoint | None, problem: Problem) -> None:
        """A request was answered with a problem."""
        tally = self._tallies.unknown if endpoint is None else endpoint.tally
        tally.refused[problem.kind] += 1
        name = "" if endpoint is None else endpoint.name
        left_out = self._left_out((name, problem.kind))
        if left_out is None:
            return
        log = self._log.warning if problem.status >= 500 else self._log.info
        log(
            "request refused",
            integration=name,
            status=problem.status,
            reason=problem.kind,
            detail=problem.detail,
            left_out=left_out,
        )

    def answered(self, answer: Answer, method: str, seconds: float) -> None:
        """The access log's line: who, what and how long, never the path."""
        self._log.info(
            "request answered",
            integration=answer.integration,
            method=method,
            status=answer.status,
            seconds=round(seconds, 6),
        )

    def broken(self, endpoint: Endpoint | None, error: BaseException) -> None:
        """Our own fault: always logged, with its traceback."""
        self._log.error(
            "request failed", integration="" if endpoint is None else endpoint.name, exc_info=error
        )

    def _left_out(self, key: tuple[str, str]) -> int | None:
        """How many lines were left out before this one; None to leave out this one too."""
        now = self._seconds()
        last = self._said.get(key)
        if last is not None and now - last[0] < QUIET:
            self._said[key] = (last[0], last[1] + 1)
            return None
        if len(self._said) >= _MOST_REMEMBERED:
            self._said.clear()
        self._said[key] = (now, 0)
        return 0 if last is None else last[1]
