"""What the templates of one alert see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tocsin.flow.model import Micros
from tocsin.flow.templates.filters_data import FUNCTIONS
from tocsin.flow.templates.meter import LIMIT, STEPS, Meter


class Variables:
    """Shared by all templates of one alert, which never change any of it.

    `payload` is the parsed JSON body, `labels` the computed labels so far, `now` what `time()` returns, `extra` further
    names (`source_link`, `integration_name`, ...). `notes` collects what rendering noticed, such as
    `undefined: payload.x.y`. `labels` and `extra` may be replaced between two renderings. `budget` is the number of
    steps of each rendering.
    """

    __slots__ = ("_extra", "_labels", "_names", "budget", "notes", "now", "payload")

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
        self.now = now
        self.notes: list[str] = [] if notes is None else notes
        self.budget = budget
        self._labels: dict[str, str] = _as_dict(labels)
        self._extra: dict[str, Any] = _as_dict(extra)
        self._names: dict[str, Any] | None = None

    @property
    def labels(self) -> Mapping[str, str]:
        return self._labels

    @labels.setter
    def labels(self, labels: Mapping[str, str]) -> None:
        self._labels = _as_dict(labels)
        self._names = None

    @property
    def extra(self) -> Mapping[str, object]:
        return self._extra

    @extra.setter
    def extra(self, extra: Mapping[str, object]) -> None:
        self._extra = _as_dict(extra)
        self._names = None

    def names(self) -> dict[str, Any]:
        """Everything that a template can name, built once per alert."""
        names = self._names
        if names is None:
            names = {**FUNCTIONS, **self._extra, "payload": self.payload, "labels": self._labels}
            self._names = names
        return names

    def meter(self, limit: int = LIMIT, *, reserve: int = 0) -> Meter:
        """A fresh budget for one rendering, less `reserve` steps."""
        return Meter(steps=self.budget - reserve, limit=limit, now=self.now, notes=self.notes)


def _as_dict(mapping: Mapping[str, Any] | None) -> dict[str, Any]:
    if type(mapping) is dict:
        return mapping
    return dict(mapping or {})
