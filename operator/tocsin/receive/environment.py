"""What all parts of one receiver share: limits, logs, counts and clocks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from tocsin.flow.model import Micros
from tocsin.receive.answers import HttpClock
from tocsin.receive.settings import Settings
from tocsin.receive.tallies import Tallies
from tocsin.telemetry import Telemetry


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """`nanoseconds` is the time since 1970; `seconds` never goes back and counts from anywhere."""

    settings: Settings
    telemetry: Telemetry
    tallies: Tallies
    nanoseconds: Callable[[], int]
    seconds: Callable[[], float]
    http_clock: HttpClock

    @classmethod
    def create(
        cls,
        telemetry: Telemetry,
        settings: Settings | None = None,
        *,
        nanoseconds: Callable[[], int] = time.time_ns,
        seconds: Callable[[], float] = time.monotonic,
    ) -> Environment:
        """Registers the receiver's counts with the telemetry's registry; once per registry."""
        tallies = Tallies()
        telemetry.registry.register(tallies)
        return cls(
            settings=settings or Settings(),
            telemetry=telemetry,
            tallies=tallies,
            nanoseconds=nanoseconds,
            seconds=seconds,
            http_clock=HttpClock(nanoseconds),
        )

    def now(self) -> Micros:
        return Micros(self.nanoseconds() // 1000)
