"""What a pressed button does to an alert group, and what the person is told."""

from __future__ import annotations

from types import MappingProxyType

import msgspec
from sqlalchemy import Connection

from tocsin.console.api.context import Context
from tocsin.console.chat.people import person_behind
from tocsin.dispatch import maintenance, reminders
from tocsin.flow.groups import Action, Actor, Refused, Verb, Via
from tocsin.flow.model import ChannelFragment, Micros
from tocsin.notify import buttons
from tocsin.notify.buttons import CONFIRM, SILENCES
from tocsin.store import groups
from tocsin.store.actions import NoSuchGroup

_VERBS = frozenset(
    {
        Verb.ACKNOWLEDGE,
        Verb.UNACKNOWLEDGE,
        Verb.RESOLVE,
        Verb.UNRESOLVE,
        Verb.SILENCE,
        Verb.UNSILENCE,
    }
)
_DONE = MappingProxyType(
    {
        Verb.ACKNOWLEDGE: "acknowledged",
        Verb.UNACKNOWLEDGE: "unacknowledged",
        Verb.RESOLVE: "resolved",
        Verb.UNRESOLVE: "unresolved",
        Verb.SILENCE: "silenced",
        Verb.UNSILENCE: "unsilenced",
    }
)
_DURATIONS = frozenset(seconds for _, seconds in SILENCES)


class Press(msgspec.Struct, frozen=True, kw_only=True):
    """One press, as the chat tells it. `value` is the button's, `user` the id of whoever pressed, `seconds` of a silence."""

    action: str
    value: str
    user: str
    seconds: int | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """`text` is for the person who pressed, and for nobody else."""

    done: bool
    text: str


async def act(context: Context, channel: ChannelFragment, press: Press, via: Via) -> Outcome:
    """Does it, or says why not. Raises StoreError."""
    keys = context.store.keys
    public_id = buttons.read(keys, channel, press.value)
    if public_id is None:
        return _refused("This button is no longer valid, the app's token has changed: use the group's page.")
    person = person_behind(context.live.program.targets, keys, channel, press.user)
    if person is None:
        return _refused(
            f"You are not known to Tocsin, so nothing was done. A Responder needs a contact with channel "
            f"{channel.namespace}/{channel.name} and address {press.user[:64]}."
        )
    now = context.now()
    actor = Actor(name=person.username, via=via)

    def write(connection: Connection) -> Outcome:
        return _apply(connection, context, public_id, press, now, actor)

    try:
        return await context.store.write(write)
    except Refused as refused:
        return _refused(f"Nothing was done: {refused.message}.")
    except NoSuchGroup:
        return _refused("Nothing was done: the alert group is deleted.")


def _apply(  # noqa: PLR0913, PLR0917 -- who presses what on which group, when
    connection: Connection, context: Context, public_id: str, press: Press, now: Micros, actor: Actor
) -> Outcome:
    group = groups.get_by_public_id(connection, public_id)
    if group is None:
        raise NoSuchGroup(0)
    if press.action == CONFIRM:
        if reminders.confirm(connection, group.number, actor.name, now):
            return Outcome(done=True, text=f"Group #{group.number} stays with whoever acknowledged it.")
        return _refused("Nothing was done: nobody is asked about this group any more.")
    wanted = _action(press, now, actor)
    if wanted is None:
        return _refused("Nothing was done: this Tocsin does not know that button.")
    maintenance.act(connection, context.live.program, group, wanted)
    return Outcome(done=True, text=f"Group #{group.number} {_DONE[wanted.verb]}.")


def _action(press: Press, now: Micros, actor: Actor) -> Action | None:
    if press.action not in _VERBS:
        return None
    verb = Verb(press.action)
    if verb is not Verb.SILENCE:
        return Action(verb=verb, at=now, actor=actor)
    if press.seconds not in _DURATIONS:
        return None
    until = Micros(now + press.seconds * 1_000_000) if press.seconds else None
    return Action(verb=verb, at=now, actor=actor, until=until)


def _refused(text: str) -> Outcome:
    return Outcome(done=False, text=text)
