"""What the evaluator says of one alert, and the compact outcome that is stored with it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from tocsin.flow.model import Micros, Target


class Grouping(StrEnum):
    """How the alert finds its group (alert-flow R-GRP-4 as decided in DESIGN section 5)."""

    BY_ID = "id"
    """Joins the open group of (integration, route, SHA-256 of the grouping id)."""
    ALONE = "alone"
    """The grouping id rendered empty, or a demo alert: a group of its own that nothing joins."""
    FALLBACK = "fallback"
    """The user's and the type's grouping template both failed: one group per integration and route, no source signals."""


class TemplateError(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One template that failed on this payload. `kind`: syntax, undefined, security, budget, limit, type or other.

    `message` never holds payload content longer than 200 characters.
    """

    slot: str
    kind: str
    message: str
    line: int | None = None


class DroppedLabel(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`reason`: limit, empty, none, too-long, bad-type, empty-key, template-error, not-an-object, redacted."""

    key: str
    source: str
    reason: str


class WindowInForce(msgspec.Struct, frozen=True, kw_only=True):
    """A maintenance window that covers this alert now. `start`/`end` bound the running occurrence."""

    window: str
    mode: str
    start: Micros
    end: Micros
    on_end: str


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The part of a decision that is stored per alert: at most 4 KiB of JSON, longest texts cut first."""

    route: str
    title: str = ""
    grouping: str = "id"
    grouping_id: str = ""
    acknowledge: bool = False
    resolve: bool = False
    source_link: str = ""
    errors: tuple[TemplateError, ...] = ()
    dropped: tuple[DroppedLabel, ...] = ()
    windows: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """Facts about the body or the evaluation: `nul-replaced`, `nan-replaced`, `undefined: payload.x`, `truncated`."""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that follows from (flow, payload, now). Pure: equal inputs give equal decisions.

    `route` is `namespace/name` or `default`. `labels` are all computed labels (routing sees these), `kept_labels`
    the at most 15 that the group gets, sorted by key. `grouping_key` is the SHA-256 of the full grouping id (32 bytes),
    empty for ALONE, a constant for FALLBACK. `resolve` is already false where the integration ignores the source.
    Redacted values are masked in every text here; routing and the grouping key have seen the originals. `windows` has
    the last one to end first: it decides what happens at the end.
    """

    route: str
    target: Target
    title: str
    grouping: Grouping
    grouping_id: str
    grouping_key: bytes
    acknowledge: bool
    resolve: bool
    source_link: str
    labels: Mapping[str, str]
    kept_labels: tuple[tuple[str, str], ...]
    windows: tuple[WindowInForce, ...]
    outcome: Outcome

    @property
    def maintenance(self) -> WindowInForce | None:
        """The Maintenance window that collects this alert's group, if one is in force."""
        return next((w for w in self.windows if w.mode == "Maintenance"), None)
