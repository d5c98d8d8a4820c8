"""What an escalation would have done, for the log of a group in Debug maintenance (S-19). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tocsin.flow.escalation.effects import Effect, Log, Notify, Publish, ResolveGroup, Trigger, place_of
from tocsin.flow.groups import LogKind

_NOT_DONE = "not carried out: Debug maintenance"


def rehearsed(effects: Iterable[Effect]) -> tuple[Log, ...]:
    """The same as entries of the log only: nobody is told, no turn is taken, nothing is resolved.

    The run itself goes on as if it had happened, so waits, windows and passes are those of the real thing.
    """
    return tuple(_entries(effects))


def _entries(effects: Iterable[Effect]) -> Iterator[Log]:
    for effect in effects:
        match effect:
            case Notify(step=step, responder=name, importance=importance):
                yield _would(step, responder=name, importance=importance.value)
            case Publish(step=step, channel=name):
                yield _would(step, channel=name)
            case Trigger(step=step, webhook=name):
                yield _would(step, webhook=name)
            case ResolveGroup():
                yield _would("", type="resolve")
            case Log() if not _says_done(effect):
                yield effect
            case _:
                pass


def _would(step: str, **what: str) -> Log:
    return Log(kind=LogKind.ESCALATION_TRIGGERED, details={**place_of(step), **what, "reason": _NOT_DONE})


def _says_done(entry: Log) -> bool:
    """Entries without a time and a reason are of steps that told somebody, or resolved."""
    return entry.kind is LogKind.ESCALATION_TRIGGERED and entry.details.keys().isdisjoint(("reason", "until"))
