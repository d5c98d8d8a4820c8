"""What an escalation asks for, in the order in which it is to happen.

A step is named by its index in the chain as text; from the second pass on with the pass behind it: `2`, `2.1`, `2.2`.
So (start of the run, step) is unique: make idempotency keys of them.
"""

from __future__ import annotations

import msgspec

from tocsin.api.escalationchain import Importance
from tocsin.flow.groups import LogKind


class Notify(msgspec.Struct, frozen=True, kw_only=True):
    """Start the personal rules of a Responder (`namespace/name`); they replace those that run for this group."""

    responder: str
    importance: Importance
    step: str


class Publish(msgspec.Struct, frozen=True, kw_only=True):
    """Post the group to a NotificationChannel (`namespace/name`)."""

    channel: str
    step: str


class Trigger(msgspec.Struct, frozen=True, kw_only=True):
    """Run an OutgoingWebhook (`namespace/name`); its own condition and Integration filter still apply."""

    webhook: str
    step: str


class ResolveGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Resolve the group with the cause "last step"; it is the last effect of a run."""


class TookTurn(msgspec.Struct, frozen=True, kw_only=True):
    """Remember whom a round robin told: the next group that comes to this step tells the next one.

    `step` is the index alone, whatever the pass.
    """

    chain: str
    step: str
    responder: str


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the group's log. `details` are short texts; `reason` among them is the sentence for people.

    `step` and `pass` in details count from one, as people do.
    """

    kind: LogKind
    details: dict[str, str]


Effect = Notify | Publish | Trigger | ResolveGroup | TookTurn | Log


def place_of(step: str) -> dict[str, str]:
    """A step as the log names it, counted from one: `2.1` is step 3, pass 2. Nothing for what is no step of a chain."""
    index, _, passes = step.partition(".")
    if not index.isdecimal():
        return {}
    return {"step": str(int(index) + 1), **({"pass": str(int(passes) + 1)} if passes else {})}


def in_words(step: str) -> str:
    """`step 3, pass 2`."""
    return ", ".join(f"{name} {number}" for name, number in place_of(step).items())
