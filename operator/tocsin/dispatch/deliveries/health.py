"""How channels do, told to the store: at once when that changes, else every few seconds at most."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection

from tocsin.dispatch.clock import SECOND
from tocsin.dispatch.deliveries.parcels import UNKNOWN, Result
from tocsin.flow.model import Micros
from tocsin.notify.channel import DeliveryFailed
from tocsin.store import channelhealth

AT_MOST_EVERY = 5 * SECOND


class Health:
    """Remembers what it wrote last of each channel. What a rolled-back transaction wrote is written again later."""

    def __init__(self) -> None:
        self._written: dict[str, tuple[Micros, bool]] = {}

    def write(self, connection: Connection, results: Iterable[Result], now: Micros) -> None:
        """The last word of each channel among `results` counts."""
        latest: dict[str, DeliveryFailed | None] = {}
        for result in results:
            if result.type != UNKNOWN and (result.sent is not None or result.failure is not None):
                latest[result.delivery.channel] = result.failure
        well_again: list[str] = []
        for channel, failure in sorted(latest.items()):
            at, well = self._written.get(channel, (Micros(-AT_MOST_EVERY), failure is not None))
            if well is (failure is None) and now - at < AT_MOST_EVERY:
                continue
            if failure is None:
                well_again.append(channel)
            else:
                channelhealth.failure(
                    connection, channel, now, reason=failure.reason.value, error=failure.message
                )
            self._written[channel] = (now, failure is None)
        channelhealth.succeeded(connection, well_again, now)

    def forget(self, declared: Iterable[str]) -> None:
        known = set(declared)
        self._written = {channel: state for channel, state in self._written.items() if channel in known}
