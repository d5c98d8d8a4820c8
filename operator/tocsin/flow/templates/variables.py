"""What the templates of one alert see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tocsin.flow.model import Micros

STEPS = 250_000
"""Steps that one rendering may take (DESIGN section 5, template safety)."""

NOTES = 50
"""Most notes kept for one alert."""


class Variables:
    """Shared by all templates of one alert. Templates never change `payload`, `labels` or `extra`.

    `payload` is the parsed body, `labels` the computed labels so far, `now` what `time()` returns, `extra` further
    names (`source_link`, `integration_name`, ...). `notes` collects what rendering noticed, such as
    `undefined: payload.x.y`. `labels` and `extra` may be replaced between two renderings.
    """

    __slots__ = ("budget", "extra", "labels", "notes", "now", "payload")

    def __init__(  # noqa: PLR0913 - one keyword per variable
        self,
        *,
        payload: Any,
        labels: Mapping[str, str] | None = None,
        now: Micros,
        extra: Mapping[str, object] | None = None,
        notes: list[str] | None = None,
        budget: int = STEPS,
    ) -> None:
        self.payload = payload
        self.labels: Mapping[str, str] = {} if labels is None else labels
        self.now = now
        self.extra: Mapping[str, object] = {} if extra is None else extra
        self.notes: list[str] = [] if notes is None else notes
        self.budget = budget
