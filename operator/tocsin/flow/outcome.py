"""The size of a stored outcome: at most 4 KiB of JSON, the longest texts cut first."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from tocsin.flow.decision import DroppedLabel, Outcome, TemplateError

OUTCOME_LIMIT = 4096
"""Bytes of JSON per stored alert."""

TRUNCATED = "truncated"
"""The note of an outcome that lost something to the limit."""

_SURELY_SHORT = 550
_CAPS = (2000, 1000, 500, 250, 120, 60, 30)
Item = TypeVar("Item")
_encoder = msgspec.json.Encoder()


def bounded(outcome: Outcome) -> Outcome:
    """The same outcome if it fits, which is nearly always told without encoding it."""
    if (
        not outcome.errors
        and not outcome.dropped
        and not outcome.notes
        and len(outcome.windows) <= 1
        and len(outcome.title) + len(outcome.grouping_id) + len(outcome.source_link) <= _SURELY_SHORT
    ):
        return outcome
    if _size(outcome) <= OUTCOME_LIMIT:
        return outcome
    return _cut(outcome)


def _size(outcome: Outcome) -> int:
    return len(_encoder.encode(outcome))


def _cut(outcome: Outcome) -> Outcome:
    """Cap all texts lower and lower, so that the longest lose first; then shorten the lists.

    A link is left out rather than cut: half a link leads astray. Route and signals always stay.
    """
    outcome = msgspec.structs.replace(outcome, notes=(*outcome.notes, TRUNCATED))
    for cap in _CAPS:
        outcome = _capped(outcome, cap)
        if _size(outcome) <= OUTCOME_LIMIT:
            return outcome
    while _size(outcome) > OUTCOME_LIMIT:
        outcome = msgspec.structs.replace(
            outcome,
            errors=_half(outcome.errors),
            dropped=_half(outcome.dropped),
            windows=_half(outcome.windows),
            notes=(*_half(outcome.notes[:-1]), TRUNCATED),
        )
    return outcome


def _half(items: tuple[Item, ...]) -> tuple[Item, ...]:
    return items[: len(items) // 2]


def _capped(outcome: Outcome, cap: int) -> Outcome:
    replace = msgspec.structs.replace
    errors: tuple[TemplateError, ...] = tuple(
        replace(error, message=shortened(error.message, cap)) for error in outcome.errors
    )
    dropped: tuple[DroppedLabel, ...] = tuple(
        replace(label, key=shortened(label.key, cap)) for label in outcome.dropped
    )
    return replace(
        outcome,
        title=shortened(outcome.title, cap),
        grouping_id=shortened(outcome.grouping_id, cap),
        source_link=outcome.source_link if len(outcome.source_link) <= cap else "",
        errors=errors,
        dropped=dropped,
        notes=tuple(shortened(note, cap) for note in outcome.notes),
    )


def shortened(text: str, limit: int) -> str:
    """At most `limit` characters, two dots at the end where something is missing (as alert-flow R-TPL-10)."""
    return text if len(text) <= limit else text[: limit - 2] + ".."
