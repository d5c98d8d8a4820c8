"""Facts, people and runs as plain values, for single advances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import yaml

from tocsin.api.escalationchain import Step
from tocsin.flow.escalation.run import Run, start
from tocsin.flow.escalation.snapshot import Snapshot
from tocsin.flow.groups import State
from tocsin.flow.model import ContactFragment, Micros, ResponderFragment
from tocsin.flow.oncall import OnCall
from tocsin.flow.targets import NO_TARGETS, Targets


@dataclass
class Situation:
    """Facts for one advance of a run, of a person and of a reminder."""

    targets: Targets = NO_TARGETS
    state: State = State.FIRING
    attached: bool = False
    wiped: bool = False
    silenced_for_ever: bool = False
    alerts: int = 1
    duty: Mapping[str, OnCall] = field(default_factory=dict)
    turns: dict[tuple[str, str], str] = field(default_factory=dict)
    answered: bool = False
    responder: ResponderFragment | None = None

    def alerts_within(self, micros: int) -> int:
        return self.alerts

    def on_call(self, schedule: str) -> OnCall:
        return self.duty.get(schedule, OnCall(error="nobody is on call"))

    def last_in_turn(self, chain: str, step: str) -> str:
        return self.turns.get((chain, step), "")


def steps_of(text: str) -> tuple[Step, ...]:
    """Steps from YAML; references are in namespace `default`."""
    return msgspec.convert(_qualified(yaml.safe_load(text)), tuple[Step, ...])


def _qualified(value):
    if isinstance(value, list):
        return [_qualified(item) for item in value]
    if not isinstance(value, dict):
        return value
    qualified = {key: _qualified(item) for key, item in value.items()}
    for key, item in qualified.items():
        for ref in item if key == "responderRefs" else [item] if key.endswith("Ref") else []:
            ref.setdefault("namespace", "default")
    return qualified


def people(*names: str) -> Targets:
    """Responders of namespace `default`, each with a contact `mail`."""
    contact = ContactFragment(name="mail", channel="default/mail")
    return Targets(
        responders={
            f"default/{name}": ResponderFragment(
                namespace="default", name=name, display_name=name, username=name, contacts=(contact,)
            )
            for name in names
        }
    )


def run_of(text: str) -> Run:
    """A run that is due at the beginning of time."""
    return start(Snapshot(route="default/route", chain="default/main", steps=steps_of(text)), Micros(0))
