"""One attempt: a message goes to its channel, within a time that is shorter than the lease."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from tocsin.dispatch.deliveries.channels import Channels
from tocsin.dispatch.deliveries.meters import DeliveryMeters
from tocsin.dispatch.deliveries.parcels import Parcel, Result
from tocsin.dispatch.live import Live
from tocsin.notify.channel import DeliveryFailed, FailureReason
from tocsin.notify.message import Sent
from tocsin.store.text import clean, cut
from tocsin.telemetry import Telemetry

LONGEST = 20.0
"""Seconds. Channels have shorter limits of their own; this one is for what they forget."""

LONGEST_RECEIPT = 1000


class Sending:
    def __init__(self, live: Live, channels: Channels, meters: DeliveryMeters, telemetry: Telemetry) -> None:
        self._live = live
        self._channels = channels
        self._meters = meters
        self._log = telemetry.log

    async def send(self, parcel: Parcel) -> Result:
        """Never raises, unless it is cancelled."""
        kind = parcel.way.fragment.type
        blank = Result(delivery=parcel.delivery, type=kind, parcel=parcel)
        started = time.monotonic()
        try:
            async with asyncio.timeout(LONGEST):
                sent = await self._attempt(parcel)
        except TimeoutError:
            result = replace(blank, failure=DeliveryFailed(FailureReason.TIMEOUT, "no answer in time"))
        except DeliveryFailed as failure:
            result = replace(blank, failure=self._judged(parcel, failure))
        except Exception as error:  # noqa: BLE001 - a channel that breaks its contract fails alone
            self._log.error("a channel stumbled", channel=parcel.delivery.channel, exc_info=error)
            failed = DeliveryFailed(FailureReason.OTHER, f"the channel stumbled: {type(error).__name__}")
            result = replace(blank, failure=failed)
        else:
            result = replace(blank, sent=_storable(sent))
        seconds = time.monotonic() - started
        self._meters.attempted(kind, seconds, result.failure.reason if result.failure else None)
        return replace(result, seconds=seconds)

    async def _attempt(self, parcel: Parcel) -> Sent:
        channel = parcel.way.channel
        assert channel is not None, "only open channels get parcels"
        if parcel.reference and channel.edits:
            return await channel.update(parcel.message, parcel.reference)
        return await channel.send(parcel.message, parcel.recipient)

    def _judged(self, parcel: Parcel, failure: DeliveryFailed) -> DeliveryFailed:
        """What fails for good may work with what was declared, or which secret was put in place, meanwhile."""
        failure = DeliveryFailed(
            failure.reason,
            clean(failure.message),
            retry_after=failure.retry_after,
            permanent=failure.permanent,
        )
        program = self._live.program
        if not failure.permanent or not self._channels.changed(program, parcel.delivery.channel, parcel.way):
            return failure
        return DeliveryFailed(failure.reason, failure.message)


def _storable(sent: Sent) -> Sent:
    """Vendors may say anything, and a database does not take everything."""
    return Sent(reference=clean(str(sent.reference)), receipt=cut(clean(str(sent.receipt)), LONGEST_RECEIPT))
