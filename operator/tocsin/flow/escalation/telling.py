"""The steps that tell somebody: people, channels, webhooks. Whom they name is looked up when they run (R-ESC-2).

What cannot be found is an entry of the log; the others of the step are told all the same (R-ESC-35).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
from msgspec.structs import replace

from tocsin.api.common import ObjectRef
from tocsin.api.escalationchain import Importance, OnCallStep, RespondersStep, Step, TeamStep
from tocsin.flow.escalation.effects import Effect, Log, Notify, Publish, TookTurn, Trigger, place_of
from tocsin.flow.escalation.facts import Facts
from tocsin.flow.escalation.overdue import Due
from tocsin.flow.escalation.snapshot import missing
from tocsin.flow.groups import LogKind
from tocsin.flow.targets import Targets

_NAMED = 20
"""So many people are named in one entry of the log."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """One step in one pass of one run. `key` as in `effects`, `type` is the member that is set: `notifyTeam`."""

    chain: str
    index: int
    passes: int
    type: str

    @property
    def key(self) -> str:
        return f"{self.index}.{self.passes}" if self.passes else str(self.index)

    def entry(self, kind: LogKind, **details: str) -> Log:
        return Log(kind=kind, details={**place_of(self.key), "type": self.type, **details})

    def ran(self, **details: str) -> Log:
        return self.entry(LogKind.ESCALATION_TRIGGERED, **details)

    def failed(self, reason: str) -> Log:
        return self.entry(LogKind.ESCALATION_FAILED, reason=reason)


def member_of(step: Step) -> str:
    """The name in YAML of what the step does; `unspecified` if nothing is set."""
    for name, encoded in zip(step.__struct_fields__, step.__struct_encode_fields__, strict=True):
        if getattr(step, name) is not None:
            return encoded
    return "unspecified"


class Teller:
    """Runs telling steps into `due`. `taken`: whom each round robin of this run told already, by index of the step."""

    def __init__(self, facts: Facts, due: Due[Effect], taken: Mapping[str, tuple[str, ...]]) -> None:
        self._facts = facts
        self._taken = taken
        self._targets = facts.targets
        self._due = due

    def tell(self, place: Place, step: Step) -> None:
        if step.notify_responders is not None:
            self._responders(place, step.notify_responders)
        elif step.notify_next_responder is not None:
            self._next_responder(place, step.notify_next_responder)
        elif step.notify_on_call is not None:
            self._on_call(place, step.notify_on_call)
        elif step.notify_team is not None:
            self._team(place, step.notify_team)
        elif step.notify_channel is not None:
            self._channel(place, step.notify_channel.channel_ref)
        elif step.trigger_webhook is not None:
            self._webhook(place, step.trigger_webhook.webhook_ref)
        else:
            self.fail(place, "the step does not say what to do: give it exactly one member")

    def fail(self, place: Place, reason: str) -> None:
        self._due.add(place.index, place.failed(reason))

    def _responders(self, place: Place, step: RespondersStep) -> None:
        names = [name_of(ref) for ref in step.responder_refs]
        self._notify(place, self._known(place, names), step.importance)

    def _next_responder(self, place: Place, step: RespondersStep) -> None:
        """By user name, then by name: the one after the last that was told (R-ESC-15).

        All groups of a step share its turns. But a later pass of one run tells whom that run has not told yet, however
        many other groups took turns meanwhile (S-39).
        """
        known = self._known(place, [name_of(ref) for ref in step.responder_refs])
        if not known:
            return
        self._due.telling()
        turn = str(place.index)
        told = (*self._taken.get(turn, ()), *turns_in(self._due.effects).get(turn, ()))
        last = self._facts.last_in_turn(place.chain, turn)
        chosen = min(in_turn(known, last, self._targets), key=told.count)
        self._notify(place, [chosen], step.importance)
        self._due.add(place.index, TookTurn(chain=place.chain, step=turn, responder=chosen))

    def _on_call(self, place: Place, step: OnCallStep) -> None:
        schedule = name_of(step.schedule_ref)
        if schedule not in self._targets.schedules:
            self.fail(place, missing("OnCallSchedule", schedule))
            return
        duty = self._facts.on_call(schedule)
        if not duty.responders:
            self.fail(place, f"OnCallSchedule {schedule}: {duty.error or 'nobody is on call'}")
            return
        self._notify(place, self._known(place, duty.responders), step.importance, schedule=schedule)

    def _team(self, place: Place, step: TeamStep) -> None:
        """A team is a name within the chain's namespace."""
        namespace = place.chain.partition("/")[0]
        members = self._targets.teams.get((namespace, step.name), ())
        if not members:
            who = f"nobody of namespace {namespace} is in team {step.name}"
            self.fail(place, f"{who}: name it in spec.teams of a Responder")
            return
        self._notify(place, self._known(place, members), step.importance, team=step.name)

    def _channel(self, place: Place, ref: ObjectRef) -> None:
        channel = name_of(ref)
        if channel not in self._targets.channels:
            self.fail(place, missing("NotificationChannel", channel))
            return
        self._due.telling()
        self._due.add(place.index, place.ran(channel=channel), Publish(channel=channel, step=place.key))

    def _webhook(self, place: Place, ref: ObjectRef) -> None:
        webhook = name_of(ref)
        if webhook not in self._targets.webhooks:
            self.fail(place, missing("OutgoingWebhook", webhook))
            return
        self._due.telling()
        self._due.add(place.index, place.ran(webhook=webhook), Trigger(webhook=webhook, step=place.key))

    def _known(self, place: Place, names: Iterable[str]) -> list[str]:
        """Each once, in the order given; one log entry for those that are not there."""
        wanted = list(dict.fromkeys(names))
        gone = [name for name in wanted if name not in self._targets.responders]
        if gone or not wanted:
            self.fail(place, missing("Responder", _listed(gone)) if gone else "the step names nobody")
        return [name for name in wanted if name in self._targets.responders]

    def _notify(self, place: Place, names: list[str], importance: Importance, **why: str) -> None:
        if not names:
            return
        self._due.telling()
        ran = place.ran(responders=_listed(names), importance=importance.value, **why)
        notes = (Notify(responder=name, importance=importance, step=place.key) for name in names)
        self._due.add(place.index, ran, *notes)


def turns_in(effects: Iterable[Effect]) -> dict[str, tuple[str, ...]]:
    """Whom each round robin told, by index of the step."""
    found: dict[str, tuple[str, ...]] = {}
    for effect in effects:
        if isinstance(effect, TookTurn):
            found[effect.step] = (*found.get(effect.step, ()), effect.responder)
    return found


def once_each(effects: Iterable[Effect]) -> tuple[Effect, ...]:
    """A person whom several due steps tell is told once, by the important rules if any of the steps says so."""
    found: list[Effect] = []
    places: dict[str, int] = {}
    for effect in effects:
        if not isinstance(effect, Notify):
            found.append(effect)
        elif effect.responder not in places:
            places[effect.responder] = len(found)
            found.append(effect)
        elif effect.importance is Importance.IMPORTANT:
            first = found[places[effect.responder]]
            assert isinstance(first, Notify)
            found[places[effect.responder]] = replace(first, importance=Importance.IMPORTANT)
    return tuple(found)


def in_turn(known: Iterable[str], last: str, targets: Targets) -> list[str]:
    """Responders that there are, whose turn it is first (R-ESC-15): by user name, then by name, after `last`."""
    row = sorted(known, key=lambda name: (targets.responders[name].username, name))
    after = row.index(last) + 1 if last in row else 0
    return row[after:] + row[:after]


def name_of(ref: ObjectRef) -> str:
    """`namespace/name`: the compiler gives every reference its namespace."""
    return f"{ref.namespace}/{ref.name}"


def _listed(names: list[str]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
