"""What the receiver hands to the store, and what it gets back."""

from __future__ import annotations

from typing import Literal

import msgspec

from tocsin.api.common import Identity
from tocsin.flow.decision import Decision
from tocsin.flow.groups import State
from tocsin.flow.model import Digest, Micros

Origin = Literal["source", "heartbeat", "demo"]


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """One evaluated alert.

    `payload`: canonical JSON, already redacted. `now`: the moment it was evaluated at, which is also when its group
    starts. `manifest`: digest of the Flow that decided. `duplicate_key`: at most 64 bytes, empty where the type has
    none. `expires_at`: the source's own end of the alert; a re-send moves it. `digested`: over the rate limit, so
    only the first and last payload of each group are kept.
    """

    integration: Identity
    decision: Decision
    payload: bytes
    received_at: Micros
    now: Micros
    manifest: Digest
    origin: Origin = "source"
    duplicate_key: bytes = b""
    expires_at: Micros | None = None
    digested: bool = False


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one alert, durably. `number` and `alert_group_id` name the same group.

    `created`: this alert opened the group. `duplicate`: nothing was stored, the ids are those of the first alert.
    `state` is the group's after this alert; `route` is the group's (`namespace/name` or `default`).
    """

    alert_id: str
    alert_group_id: str
    number: int
    state: State
    route: str
    created: bool
    duplicate: bool
    digested: bool
