"""What an escalation would have done, for the log of a group in Debug maintenance (S-19). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tocsin.flow.escalation.effects import Effect, Log, Notify, Publish, ResolveGroup, Trigger
from tocsin.flow.groups import LogKind


def rehearsed(effects: Iterable[Effect]) -> tuple[Log, ...]:
    """The same as entries of the log only: nobody is told, no turn is taken, nothing is resolved.

    The run itself goes on as if it had happened, so waits, windows and passes are those of the real thing.
    """
    return tuple(_logs(effects))


def _logs(effects: Iterable[Effect]) -> Iterator[Log]:
    for effect in effects:
        match effect:
            case Log():
                yield effect
            case Notify(responder=name, step=step, importance=importance):
                yield _would(step, f"would have told Responder {name} by the {importance.lower()} rules")
            case Publish(channel=name, step=step):
                yield _would(step, f"would have posted to NotificationChannel {name}")
            case Trigger(webhook=name, step=step):
                yield _would(step, f"would have run OutgoingWebhook {name}")
            case ResolveGroup():
                yield Log(
                    kind=LogKind.ESCALATION_TRIGGERED, details={"reason": "would have resolved the group"}
                )
            case _:
                pass


def _would(step: str, reason: str) -> Log:
    return Log(kind=LogKind.ESCALATION_TRIGGERED, details={"step": step, "reason": reason})
