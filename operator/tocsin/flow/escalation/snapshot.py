"""What an escalation executes: taken when it starts and stored with the group (alert-flow R-ESC-2)."""

from __future__ import annotations

import msgspec

from tocsin.api.escalationchain import Step
from tocsin.flow.model import NOT_ADMITTED, Target
from tocsin.flow.targets import Targets


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A chain as it was at the start. Names are `namespace/name`; durations in microseconds, 0: never.

    `route` and its publish list `channels` are those of the group. `chain` empty: nobody is told by steps. `broken`
    as in ChainFragment. People, teams and schedules are looked up when a step runs.
    """

    route: str
    chain: str = ""
    steps: tuple[Step, ...] = ()
    broken: tuple[tuple[int, str], ...] = ()
    channels: tuple[str, ...] = ()
    remind_every: int = 0
    unacknowledge_after: int = 0


def take(target: Target, route: str, targets: Targets) -> Snapshot:
    """A chain that is not there any more becomes one step that logs so: the group stays visible, nothing fails."""
    name = target.escalation_chain
    chain = targets.chains.get(name)
    if chain is None:
        steps, broken = ((Step(),), ((0, missing("EscalationChain", name)),)) if name else ((), ())
        return Snapshot(route=route, chain=name, steps=steps, broken=broken, channels=target.channels)
    return Snapshot(
        route=route,
        chain=name,
        steps=chain.steps,
        broken=chain.broken,
        channels=target.channels,
        remind_every=chain.remind_every,
        unacknowledge_after=chain.unacknowledge_after,
    )


def is_current(snapshot: Snapshot, targets: Targets) -> bool:
    """Whether a start now would take the same steps."""
    now = take(Target(escalation_chain=snapshot.chain), snapshot.route, targets)
    return (now.steps, now.broken) == (snapshot.steps, snapshot.broken)


def missing(kind: str, names: str) -> str:
    """What to log of something that is referred to and not there. What is not shared is not told from what is not there."""
    if NOT_ADMITTED in names:
        return (
            f"there is no {kind} {names.replace(NOT_ADMITTED, '')} that admits this namespace in spec.sharing"
        )
    return f"there is no {kind} {names}: it is not declared, suspended or refused"
