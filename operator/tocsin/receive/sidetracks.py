"""Deliveries that are no alerts: signs of life, what arrives for an Integration that takes none, and probes of the API."""

from __future__ import annotations

import msgspec

from tocsin import __version__
from tocsin.flow.model import Micros
from tocsin.receive.answers import Answer
from tocsin.receive.endpoints import Endpoint, Standing
from tocsin.receive.live import AlertStore
from tocsin.store import deadletters, heartbeats

_WHY = {
    Standing.SUSPENDED: "the Integration is suspended (spec.suspend)",
    Standing.DELETED: "the Integration was deleted; its URL answers for a while so that nothing is lost by mistake",
}


class Sidetracks:
    """Each answer follows a durable commit, as with alerts."""

    def __init__(self, store: AlertStore) -> None:
        self._store = store

    async def bury(self, endpoint: Endpoint, body: bytes, media_type: str, now: Micros) -> Answer:
        """Keeps a delivery among the dead letters. 200, and the answer says that nobody is alerted."""
        reason = endpoint.standing.value
        await self._store.write(
            lambda connection: deadletters.put(
                connection,
                integration=endpoint.identity,
                reason=reason,
                media_type=media_type,
                body=body,
                received_at=now,
            )
        )
        endpoint.tally.dead[reason] += 1
        return Answer(
            msgspec.json.encode(
                {
                    "dead_letter": True,
                    "integration": endpoint.name,
                    "reason": reason,
                    "detail": f"kept among the dead letters, nobody is alerted: {_WHY[endpoint.standing]}",
                }
            )
        )

    async def beat(self, endpoint: Endpoint, now: Micros) -> Answer:
        """Records a sign of life."""
        await self._store.write(lambda connection: heartbeats.seen(connection, endpoint.identity, now))
        tally = endpoint.tally
        tally.heartbeats += 1
        tally.heartbeat_at = now
        return Answer(msgspec.json.encode({"heartbeat": "recorded", "integration": endpoint.name}))


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
