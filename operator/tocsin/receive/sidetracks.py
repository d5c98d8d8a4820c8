"""Deliveries that are no alerts: signs of life, what arrives for an Integration that takes none, and probes of the API."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection

from tocsin import __version__
from tocsin.api.common import Identity
from tocsin.flow.model import HeartbeatFragment, Micros
from tocsin.receive.answers import Answer
from tocsin.receive.endpoints import Endpoint, Standing
from tocsin.store import Store, clock, deadletters, pulses
from tocsin.store.deadletters import Undelivered

_WHY = {
    Standing.SUSPENDED: "the Integration is suspended (spec.suspend)",
    Standing.DELETED: "the Integration was deleted; its URL answers for a while so that nothing is lost by mistake",
}


class Sidetracks:
    """Each answer follows a durable commit, as with alerts."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def bury(self, endpoint: Endpoint, letter: Undelivered) -> Answer:
        """Keeps a delivery among the dead letters. 200, and the answer says that nobody is alerted."""
        number = await self.keep(endpoint, letter)
        return Answer(
            msgspec.json.encode(
                {
                    "dead_letter": number,
                    "integration": endpoint.name,
                    "reason": letter.reason,
                    "detail": f"kept among the dead letters, nobody is alerted: {_WHY[endpoint.standing]}",
                }
            )
        )

    async def keep(self, endpoint: Endpoint, letter: Undelivered) -> int:
        """The number of the new dead letter."""
        number = await self._store.write(lambda connection: deadletters.put(connection, letter))
        endpoint.tally.dead[letter.reason] += 1
        return number

    async def beat(self, endpoint: Endpoint, heartbeat: HeartbeatFragment, now: Micros) -> Answer:
        """Records a sign of life, and when its absence will be noticed."""
        await self._store.write(lambda connection: _beat(connection, endpoint.identity, heartbeat))
        tally = endpoint.tally
        tally.heartbeats += 1
        tally.heartbeat_at = now
        return Answer(msgspec.json.encode({"heartbeat": "recorded", "integration": endpoint.name}))


def ignored_heartbeat(endpoint: Endpoint) -> Answer:
    """Suspended is as if absent: nothing is expected, so nothing is recorded."""
    return Answer(
        msgspec.json.encode(
            {"heartbeat": "ignored", "integration": endpoint.name, "reason": endpoint.standing.value}
        )
    )


def _beat(connection: Connection, integration: Identity, heartbeat: HeartbeatFragment) -> None:
    pulses.record(connection, integration, heartbeat.interval + heartbeat.grace, clock.now(connection))


def api_status() -> bytes:
    """What senders that probe `GET .../api/v2/status` of an Alertmanager expect."""
    return msgspec.json.encode(
        {
            "cluster": {"name": "tocsin", "status": "disabled", "peers": []},
            "versionInfo": {
                "version": __version__,
                "revision": "",
                "branch": "",
                "buildUser": "",
                "buildDate": "",
                "goVersion": "",
            },
            "config": {"original": ""},
            "uptime": "1970-01-01T00:00:00.000Z",
        }
    )
