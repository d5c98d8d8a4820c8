"""Announcements of maintenance windows become messages, one for each channel that the window names."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection

from tocsin.dispatch.announcements import Announcement
from tocsin.dispatch.dispatcher import Job
from tocsin.flow.model import Micros
from tocsin.store import deliveries
from tocsin.store.deliveries import NewDelivery


def run(connection: Connection, job: Job) -> Micros | None:
    """`announce`: the handler of such timers. The moment of the announcement is part of the key, so each is told once."""
    told = msgspec.json.decode(job.timer.data, type=Announcement)
    deliveries.enqueue(
        connection,
        [
            NewDelivery(
                key=f"{deliveries.ANNOUNCEMENT}/{job.timer.subject}/{channel}",
                kind=deliveries.ANNOUNCEMENT,
                at=job.now,
                channel=channel,
                data=job.timer.data,
            )
            for channel in told.channels
        ],
    )
    return None
