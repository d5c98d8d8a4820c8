"""Labels of one alert: where they come from, which are dropped and why, and the fifteen that the group gets.

Precedence, later over earlier: inherited from the integration, static of all rules, dynamic of the source type,
dynamic of the rules, extracted by the rules; inside one source in order of the rules (alert-flow R-LBL-3, R-LBL-4).
Every value is text before any template or route sees it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from tocsin.flow.decision import DroppedLabel, TemplateError
from tocsin.flow.rendering import Prepared, clean, failure_of, render_text
from tocsin.flow.templates import TemplateProblem, Variables

MOST_LABELS = 15
"""Labels that a group keeps, by sorted key."""

LONGEST = 200
"""Characters of a key and of a value."""

_LONG_NUMBER = re.compile(r"\d{16}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamicLabel:
    """A fixed key with a templated value; `source` names the rule or the source type.

    `optional`: nobody asked for it (it comes with the type), so an empty value is no loss worth recording.
    """

    key: str
    source: str
    template: Prepared
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    source: str
    template: Prepared


@dataclass(slots=True, kw_only=True)
class Found:
    """The labels of one alert while they are collected. `labels` may be shared: never change it."""

    labels: Mapping[str, str]
    dropped: list[DroppedLabel]
    errors: list[TemplateError]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelPlan:
    """All label sources of one integration. `fixed` are those that do not depend on the alert."""

    fixed: dict[str, str]
    fixed_kept: tuple[tuple[str, str], ...]
    fixed_dropped: tuple[DroppedLabel, ...]
    fixed_sources: tuple[tuple[str, str, str], ...]
    """(key, value, source) in order of application, for traces."""
    dynamic: tuple[DynamicLabel, ...]
    extractions: tuple[Extraction, ...]

    def collect(self, variables: Variables) -> Found:
        """Render what depends on the alert. Never raises: a label never costs the alert."""
        if not self.dynamic and not self.extractions:
            return Found(labels=self.fixed, dropped=[], errors=[])
        labels = self.fixed.copy()
        found = Found(labels=labels, dropped=[], errors=[])
        for entry in self.dynamic:
            try:
                value = render_text(entry.template, variables)
            except TemplateProblem as problem:
                slot = f"label {entry.key}"
                found.errors.append(failure_of(slot, problem))
                found.dropped.append(
                    DroppedLabel(key=entry.key, source=entry.source, reason="template-error")
                )
                continue
            reason = value_problem(value)
            if not reason:
                labels[entry.key] = value
            elif not entry.optional or reason == "too-long":
                found.dropped.append(DroppedLabel(key=entry.key, source=entry.source, reason=reason))
        for extraction in self.extractions:
            self._extract(extraction, variables, labels, found)
        return found

    def _extract(
        self, extraction: Extraction, variables: Variables, labels: dict[str, str], found: Found
    ) -> None:
        try:
            text = render_text(extraction.template, variables)
        except TemplateProblem as problem:
            found.errors.append(failure_of(extraction.source, problem))
            found.dropped.append(DroppedLabel(key="", source=extraction.source, reason="template-error"))
            return
        pairs = parse_object(text)
        if pairs is None:
            found.dropped.append(DroppedLabel(key="", source=extraction.source, reason="not-an-object"))
            return
        for raw_key, raw_value in pairs.items():
            key = clean(raw_key)
            value = text_form(raw_value)
            reason = key_problem(key) or ("bad-type" if value is None else value_problem(value))
            if reason:
                shown = key if len(key) <= LONGEST else key[:LONGEST]
                found.dropped.append(DroppedLabel(key=shown, source=extraction.source, reason=reason))
            elif value is not None:
                labels[key] = value

    def kept(self, found: Found) -> tuple[tuple[str, str], ...]:
        """The pairs that the group gets; what the limit cuts is added to `found.dropped` (alert-flow R-LBL-12)."""
        if found.labels is self.fixed:
            found.dropped.extend(self.fixed_dropped)
            return self.fixed_kept
        ordered = sorted(found.labels.items())
        if len(ordered) > MOST_LABELS:
            found.dropped.extend(
                DroppedLabel(key=key, source="", reason="limit") for key, _ in ordered[MOST_LABELS:]
            )
        return tuple(ordered[:MOST_LABELS])


def label_plan(
    fixed: tuple[tuple[str, str, str], ...],
    dynamic: tuple[DynamicLabel, ...],
    extractions: tuple[Extraction, ...],
) -> LabelPlan:
    """`fixed` are (key, value, source) in order of precedence, lowest first."""
    labels: dict[str, str] = {}
    for key, value, _ in fixed:
        if not key_problem(key) and len(value) <= LONGEST:
            labels[key] = clean(value)
    ordered = sorted(labels.items())
    return LabelPlan(
        fixed=labels,
        fixed_kept=tuple(ordered[:MOST_LABELS]),
        fixed_dropped=tuple(
            DroppedLabel(key=key, source="", reason="limit") for key, _ in ordered[MOST_LABELS:]
        ),
        fixed_sources=fixed,
        dynamic=dynamic,
        extractions=extractions,
    )


def key_problem(key: str) -> str:
    """Reason for dropping a pair by its key, or ""."""
    return "empty-key" if not key else "too-long" if len(key) > LONGEST else ""


def value_problem(value: str) -> str:
    """Reason for dropping a pair by its value, or "" (alert-flow R-LBL-7). `value` is kept as rendered, not trimmed."""
    if not value:
        return "empty"
    if len(value) > LONGEST:
        return "too-long"
    trimmed = value.strip()
    return "none" if len(trimmed) == 4 and trimmed.lower() == "none" else ""


def text_form(value: Any) -> str | None:
    """Text of an extracted value, as Python writes it (alert-flow R-LBL-11); None for types that are no labels."""
    if type(value) is str:
        return clean(value)
    if isinstance(value, _Number):
        return "0" if value.text == "-0" else value.text
    if isinstance(value, bool | int | float):
        return str(value)
    return None


class _Number:
    """An integer as its digits stand in the text: exact at any length, and free of Python's limit on digits."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


def parse_object(text: str) -> dict[str, Any] | None:
    """A JSON object, or None if the text is none. Of a key that occurs twice the last value counts."""
    value: Any = None
    if not _LONG_NUMBER.search(text):
        try:
            value = orjson.loads(text)
        except ValueError:
            value = _lenient(text)
    else:
        value = _lenient(text)
    return value if isinstance(value, dict) else None


def _lenient(text: str) -> Any:
    """Also NaN and Infinity (as null), lone surrogates, and integers of any length."""
    try:
        return json.loads(text, parse_int=_Number, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None
