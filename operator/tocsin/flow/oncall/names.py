"""Whom the summary of a calendar event names.

`[L2] jane, bob`: an optional level and people, separated by commas or semicolons. Where events of several levels run at
once, those of the highest count; without a level it is 0. People are known by username, object name, e-mail or display
name, in any case. A calendar is foreign text: it can only name Responders of the schedule's own namespace, and those
that the schedule itself refers to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tocsin.flow.model import ResponderFragment, ScheduleFragment

MAX_NAMES = 64
_LEVEL = re.compile(r"\s*\[L(\d)\]\s*", re.IGNORECASE | re.ASCII)
_SEPARATOR = re.compile(r"[,;\n]")


class Summary(NamedTuple):
    """`whole` is tried before `names`: a display name may hold a comma."""

    level: int
    whole: str
    names: tuple[str, ...]


def read_summary(text: str) -> Summary:
    match = _LEVEL.match(text)
    rest = text[match.end() :] if match else text
    parts = (_normal(part) for part in _SEPARATOR.split(rest))
    names = tuple(dict.fromkeys(part for part in parts if part))[:MAX_NAMES]
    return Summary(level=int(match[1]) if match else 0, whole=_normal(rest), names=names)


class Directory:
    """The Responders that a schedule's calendar may name, by everything that they are called."""

    __slots__ = ("_known",)

    def __init__(self, schedule: ScheduleFragment, responders: Mapping[str, ResponderFragment]) -> None:
        own, referred = f"{schedule.namespace}/", frozenset(_referred(schedule))
        self._known: dict[str, set[str]] = {}
        for key, responder in responders.items():
            if key.startswith(own) or key in referred:
                for called in (responder.username, responder.name, responder.email, responder.display_name):
                    if called:
                        self._known.setdefault(_normal(called), set()).add(key)

    def people(self, summary: Summary) -> tuple[str, ...]:
        """`namespace/name`, sorted. Where two people are called the same, both: nobody is lost."""
        whole = self._known.get(summary.whole)
        if whole:
            return tuple(sorted(whole))
        return tuple(sorted({key for name in summary.names for key in self._known.get(name, ())}))

    def strangers(self, summary: Summary) -> tuple[str, ...]:
        """The names that are nobody's."""
        if summary.whole in self._known:
            return ()
        return tuple(name for name in summary.names if name not in self._known)


def _referred(schedule: ScheduleFragment) -> Iterator[str]:
    turns = (turn.responder_refs for layer in schedule.layers for turn in layer.participants)
    for refs in (*turns, *(override.responder_refs for override in schedule.overrides)):
        for ref in refs:
            yield f"{ref.namespace}/{ref.name}"


def _normal(text: str) -> str:
    return " ".join(text.casefold().split())
