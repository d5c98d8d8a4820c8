"""What an escalation would have done, for the log of a group in Debug maintenance (S-19). Pure."""

from __future__ import annotations

from collections.abc import Iterable

from tocsin.flow.escalation.effects import Effect, Log
from tocsin.flow.groups import LogKind

_NOT_DONE = "not carried out: Debug maintenance"


def rehearsed(effects: Iterable[Effect]) -> tuple[Log, ...]:
    """Entries of the log only, which name whom each step would have told: nobody is, no turn is taken, nothing resolved.

    The run itself goes on as if it had happened, so waits, windows and passes are those of the real thing.
    """
    return tuple(_marked(effect) for effect in effects if isinstance(effect, Log))


def _marked(entry: Log) -> Log:
    """Entries that have no reason yet and no time are of steps that would have done something."""
    done = entry.kind is LogKind.ESCALATION_TRIGGERED and entry.details.keys().isdisjoint(("reason", "until"))
    return Log(kind=entry.kind, details={**entry.details, "reason": _NOT_DONE}) if done else entry
