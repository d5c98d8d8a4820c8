"""An integration type: everything Tocsin knows about one kind of sender, as data.

Each folder of this package is one type: `type.yaml` (this shape), `samples/*.json` with `expected.yaml`. Adding a
type is adding a folder. Behaviour that data cannot say is chosen from the closed vocabulary below, implemented once.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from tocsin.api.common import Templates


class BodyKind(StrEnum):
    """What a POST may carry besides JSON (which every type takes whatever the media type says)."""

    FORM = "form"
    MULTIPART = "multipart"
    QUERY = "query"


class Split(StrEnum):
    """How one body becomes alerts. A top-level array is always one alert per element, all or none."""

    NONE = "none"
    ALERTS = "alerts"
    """An object with a list under `alerts` is one alert per element (old Grafana, alert-flow R-TYP-GRA)."""


class Prepare(StrEnum):
    """A pure change of the payload before evaluation."""

    COUNT_ALERTS = "count-alerts"
    """Adds numFiring and numResolved unless numFiring is there (alert-flow R-TYP-ALM)."""
    API_ALERT = "api-alert"
    """An alert of the Alertmanager v2 API gets `status` (from endsAt and now) and `fingerprint` (hash of sorted labels)."""
    UNWRAP_STRING = "unwrap-string"
    """A top-level JSON string that holds an object or array is taken as that (sent by some webhook senders)."""


class DuplicateKey(StrEnum):
    """How senders in HA pairs are recognised (DESIGN section 5)."""

    NONE = "none"
    GROUP_KEY = "group-key"
    """integration + groupKey + sorted (fingerprint, status, startsAt, and endsAt if resolved)."""
    FINGERPRINT = "fingerprint"
    """fingerprint + status + startsAt; a firing re-send only moves `last_seen` and the expiry at endsAt."""


class Verification(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """How the sender checks the URL before it delivers: answered 2xx, no alert.

    `methods`: HTTP methods answered as verification (GET, HEAD). `when`: template over `payload`, true for a POST
    that is a handshake. `echo`: template of the answer's text.
    """

    methods: tuple[str, ...] = ()
    when: str = ""
    echo: str = ""


class SourceType(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """One integration type. `defaults` fill every slot that users leave empty, looked up live (alert-flow R-TYP-2)."""

    slug: str
    title: str
    description: str
    url: bool = True
    """False for types without an alert URL (manual)."""
    heartbeat: bool = True
    demo: bool = True
    body: tuple[BodyKind, ...] = ()
    query_delivery: bool = False
    """GET with a query string delivers an alert."""
    split: Split = Split.NONE
    prepare: tuple[Prepare, ...] = ()
    duplicates: DuplicateKey = DuplicateKey.NONE
    api_v2: bool = False
    """Also answers `.../api/v2/alerts` as Alertmanager does."""
    expires: bool = False
    """Alerts end by themselves at their `endsAt` unless sent again."""
    verification: Verification | None = None
    fallback_title: str = ""
    """Shown when the title template fails or renders empty."""
    labels: dict[str, str] = {}
    """Dynamic labels that every integration of this type gets (key -> template)."""
    defaults: Templates = Templates()
    example: Any = None
    """Payload of the demo alert."""
