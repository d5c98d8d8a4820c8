"""The life of an alert group, pure: states, what may happen to them, and what each happening writes to the log.

A group stores three marks (resolved, acknowledged, silenced); the shown state is the strongest one set. `transition`
answers what an action makes of a group, `follow` what it makes of a group attached to the one acted upon. Neither
knows a database or a clock.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from types import MappingProxyType

import msgspec
from msgspec.structs import replace

from tocsin.flow.model import Micros

RENOTIFY_AFTER = 5 * 60 * 1_000_000
"""Least time between two repeated notifications of a fallback group (DESIGN section 5, empty grouping id)."""

START_DELAY_NEW = 0
START_DELAY_AGAIN = 10_000_000
"""Escalation of a new group starts at once: what its first payload closes is closed in the same commit. Any later
start waits for ten seconds, so that a quick correction calls nobody (alert-flow R-ESC-3).
"""


class State(StrEnum):
    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    SILENCED = "silenced"
    RESOLVED = "resolved"


# looking a member up on its class costs ten times as much as a global (CPython 3.11), and ingest asks for every alert
_FIRING, _ACKNOWLEDGED, _SILENCED, _RESOLVED = State


class LogKind(IntEnum):
    """Numbers 0 to 25 are those of alert-flow R-LOG-1; Tocsin's own begin at 100."""

    ACKNOWLEDGED = 0
    UNACKNOWLEDGED = 1
    INVITE = 2
    STOP_INVITATION = 3
    RE_INVITE = 4
    ESCALATION_TRIGGERED = 5
    INVITATION_TRIGGERED = 6
    SILENCED = 7
    ATTACHED = 8
    UNATTACHED = 9
    WEBHOOK_TRIGGERED = 10
    UNACKNOWLEDGED_BY_TIMEOUT = 11
    FAILED_ATTACHMENT = 12
    RESOLVED = 13
    UNRESOLVED = 14
    UNSILENCED = 15
    ESCALATION_FINISHED = 16
    ESCALATION_FAILED = 17
    ACKNOWLEDGE_REMINDER = 18
    WIPED = 19
    DELETED = 20
    REGISTERED = 21
    ROUTE_ASSIGNED = 22
    DIRECT_PAGING = 23
    UNPAGE = 24
    RESTRICTED = 25
    LATE_SIGNAL = 100
    """A resolve or acknowledge signal came while no group of its grouping id was open."""
    NOTIFIED_AGAIN = 101
    """An alert joined an acknowledged or silenced fallback group."""
    RESUMED = 102
    """The last maintenance window over the group ended while it was firing: its escalation starts."""
    PERSON_NOTIFIED = 103
    """A notification rule of a Responder had its turn; of page, schedule or step the details say which."""
    PERSON_NOT_NOTIFIED = 104
    """A notification rule could not do its work, or the Responder has none."""
    DELIVERED = 110
    """A message about the group reached its channel, or a person."""
    BUNDLED = 111
    """Too many messages at once: one about this group became a line of a bundle."""


class Via(IntEnum):
    """Where a person acted (alert-flow R-LOG-2)."""

    SLACK = 0
    WEB = 1
    PHONE = 2
    TELEGRAM = 3
    API = 4
    REVERSE_SYNC = 5
    MATTERMOST = 6


class Cause(StrEnum):
    """Why a group was resolved or acknowledged (alert-flow R-AGS-3)."""

    SOURCE = "source"
    USER = "user"
    LAST_STEP = "last step"
    WIPED = "wiped"
    MAINTENANCE = "stop maintenance"


class Actor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who acts. The empty name is Tocsin itself or the source; people act by way of something."""

    name: str = ""
    via: Via | None = None


AUTOMATIC = Actor()


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    at: Micros
    cause: Cause
    actor: str = ""


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """`until` None means for ever."""

    at: Micros
    until: Micros | None = None
    actor: str = ""


class GroupState(msgspec.Struct, frozen=True, kw_only=True):
    """What the state machine needs to know of a group.

    `keyed`: it has a grouping id that alerts can share. `parent`: number of the group it is attached to.
    `maintenance`: it collects the groups of a maintenance window.
    """

    number: int
    started_at: Micros
    acknowledged: Mark | None = None
    silenced: Silence | None = None
    resolved: Mark | None = None
    keyed: bool = True
    parent: int | None = None
    maintenance: bool = False
    wiped: bool = False
    response_time: int | None = None

    @property
    def state(self) -> State:
        """Resolved outranks acknowledged, which outranks silenced (alert-flow R-AGS-1)."""
        if self.resolved is not None:
            return _RESOLVED
        if self.acknowledged is not None:
            return _ACKNOWLEDGED
        return _FIRING if self.silenced is None else _SILENCED

    @property
    def joinable(self) -> bool:
        """Open for grouping: until it is resolved, and again once it is unresolved (unlike alert-flow R-GRP-12)."""
        return self.keyed and self.resolved is None


class Verb(StrEnum):
    """People's verbs first, then those of the source and of Tocsin itself."""

    ACKNOWLEDGE = "acknowledge"
    UNACKNOWLEDGE = "unacknowledge"
    RESOLVE = "resolve"
    UNRESOLVE = "unresolve"
    SILENCE = "silence"
    UNSILENCE = "unsilence"
    RESTART = "restart"
    UNATTACH = "unattach"
    WIPE = "wipe"
    DELETE = "delete"
    SOURCE_ACKNOWLEDGE = "source acknowledge"
    SOURCE_RESOLVE = "source resolve"
    LAST_STEP = "last step"
    SILENCE_ENDED = "silence ended"
    REMINDER_TIMEOUT = "reminder timeout"
    MAINTENANCE_RESOLVE = "maintenance resolve"
    MAINTENANCE_RELEASE = "maintenance release"


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happens. `until` is the end of a silence; None for ever, or not a silence.

    SILENCE_ENDED repeats the `until` of the silence it ends, so that a later silence is left alone.
    """

    verb: Verb
    at: Micros
    actor: Actor = AUTOMATIC
    until: Micros | None = None
    reason: str = ""


class Effect(StrEnum):
    """What the store and the dispatcher owe after a transition, in the same transaction."""

    START_ESCALATION = "start escalation"
    STOP_ESCALATION = "stop escalation"
    ARM_REMINDER = "arm reminder"
    SCHEDULE_UNSILENCE = "schedule unsilence"
    CANCEL_UNSILENCE = "cancel unsilence"
    CANCEL_EXPIRY = "cancel expiry"
    END_MAINTENANCE = "end maintenance"
    WIPE_CONTENT = "wipe content"
    DELETE_ROWS = "delete rows"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a group's log (alert-flow R-LOG-2). `details` are short texts by name."""

    kind: LogKind
    at: Micros
    actor: Actor = AUTOMATIC
    reason: str = ""
    details: tuple[tuple[str, str], ...] = ()


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """`children`: the action to `follow` on every attached group, None if they are left alone.

    `parent_entries` belong into the log of the group that this one is (or was) attached to.
    """

    group: GroupState
    entries: tuple[Entry, ...] = ()
    parent_entries: tuple[Entry, ...] = ()
    effects: frozenset[Effect] = frozenset()
    children: Action | None = None


class Refusal(StrEnum):
    RESOLVED = "resolved"
    NOT_RESOLVED = "not resolved"
    ACKNOWLEDGED = "already acknowledged"
    NOT_ACKNOWLEDGED = "not acknowledged"
    NOT_SILENCED = "not silenced"
    FIRING = "already firing"
    ATTACHED = "attached"
    NOT_ATTACHED = "not attached"
    MAINTENANCE = "maintenance group"
    WIPED = "wiped"
    PAST = "end in the past"
    SAME = "same group"
    HAS_CHILDREN = "has attached groups"


class Refused(Exception):
    """The action is not possible in this state; nothing changed. The message says what to do instead."""

    def __init__(self, reason: Refusal, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


_STOP = frozenset({Effect.STOP_ESCALATION, Effect.CANCEL_UNSILENCE})
_END = _STOP | {Effect.CANCEL_EXPIRY}
_START = frozenset({Effect.START_ESCALATION, Effect.CANCEL_UNSILENCE})


def _entry(kind: LogKind, action: Action, **details: str) -> Entry:
    return Entry(
        kind=kind, at=action.at, actor=action.actor, reason=action.reason, details=tuple(details.items())
    )


def _responded(group: GroupState, at: Micros) -> int:
    """The response time is fixed by the first reaction (alert-flow R-AGS-4)."""
    return max(0, at - group.started_at) if group.response_time is None else group.response_time


def _lift(group: GroupState, action: Action) -> tuple[Entry, ...]:
    return () if group.silenced is None else (_entry(LogKind.UNSILENCED, action),)


def _restart(group: GroupState) -> frozenset[Effect]:
    """Only a root escalates; an attached group follows its root."""
    return _START if group.parent is None else frozenset({Effect.CANCEL_UNSILENCE})


def _acknowledge(group: GroupState, action: Action, cause: Cause) -> Transition:
    mark = Mark(at=action.at, cause=cause, actor=action.actor.name)
    effects = set(_STOP)
    if cause is Cause.USER and group.parent is None:
        effects.add(Effect.ARM_REMINDER)
    return Transition(
        group=replace(group, acknowledged=mark, silenced=None, response_time=_responded(group, action.at)),
        entries=(*_lift(group, action), _entry(LogKind.ACKNOWLEDGED, action, cause=cause)),
        effects=frozenset(effects),
        children=action,
    )


def _resolve(group: GroupState, action: Action, cause: Cause) -> Transition:
    mark = Mark(at=action.at, cause=cause, actor=action.actor.name)
    return Transition(
        group=replace(
            group,
            resolved=mark,
            silenced=None,
            response_time=_responded(group, action.at),
        ),
        entries=(*_lift(group, action), _entry(LogKind.RESOLVED, action, cause=cause)),
        effects=_END,
        children=action,
    )


def _to_firing(group: GroupState, action: Action, kind: LogKind) -> Transition:
    return Transition(
        group=replace(group, acknowledged=None, silenced=None, resolved=None),
        entries=(_entry(kind, action),),
        effects=_restart(group),
        children=action,
    )


def _silence(group: GroupState, action: Action) -> Transition:
    lifted = () if group.acknowledged is None else (_entry(LogKind.UNACKNOWLEDGED, action),)
    until = "for ever" if action.until is None else str(action.until)
    effects = {Effect.STOP_ESCALATION, Effect.CANCEL_UNSILENCE}
    if action.until is not None and group.parent is None:
        effects = {Effect.STOP_ESCALATION, Effect.SCHEDULE_UNSILENCE}
    return Transition(
        group=replace(
            group,
            acknowledged=None,
            silenced=Silence(at=action.at, until=action.until, actor=action.actor.name),
            response_time=_responded(group, action.at),
        ),
        entries=(*lifted, _entry(LogKind.SILENCED, action, until=until)),
        effects=frozenset(effects),
        children=action,
    )


def _unsilence(group: GroupState, action: Action) -> Transition:
    return Transition(
        group=replace(group, silenced=None),
        entries=(_entry(LogKind.UNSILENCED, action),),
        effects=_restart(group),
        children=action,
    )


def _unattach(group: GroupState, action: Action, *, silent: bool = False) -> Transition:
    """The child becomes a root and, if it still fires, starts over."""
    parent = str(group.parent)
    firing = group.state is State.FIRING
    return Transition(
        group=replace(group, parent=None),
        entries=() if silent else (_entry(LogKind.UNATTACHED, action, parent=parent),),
        parent_entries=(_entry(LogKind.UNATTACHED, action, child=str(group.number)),),
        effects=frozenset({Effect.START_ESCALATION}) if firing else frozenset(),
    )


def _wipe(group: GroupState, action: Action) -> Transition:
    mark = group.resolved or Mark(at=action.at, cause=Cause.WIPED, actor=action.actor.name)
    return Transition(
        group=replace(
            group,
            resolved=mark,
            silenced=None,
            keyed=False,
            wiped=True,
            response_time=_responded(group, action.at),
        ),
        entries=(_entry(LogKind.WIPED, action),),
        effects=_END | {Effect.WIPE_CONTENT},
        children=action,
    )


_RESOLVING = MappingProxyType(
    {
        Verb.RESOLVE: Cause.USER,
        Verb.SOURCE_RESOLVE: Cause.SOURCE,
        Verb.LAST_STEP: Cause.LAST_STEP,
        Verb.MAINTENANCE_RESOLVE: Cause.MAINTENANCE,
    }
)
_PERSONAL = frozenset(
    {
        Verb.ACKNOWLEDGE,
        Verb.UNACKNOWLEDGE,
        Verb.RESOLVE,
        Verb.UNRESOLVE,
        Verb.SILENCE,
        Verb.UNSILENCE,
        Verb.RESTART,
        Verb.WIPE,
        Verb.DELETE,
    }
)
_CLOSED_TO_MAINTENANCE = frozenset(_PERSONAL - {Verb.RESOLVE, Verb.WIPE, Verb.DELETE}) | {Verb.UNATTACH}


def _guard(group: GroupState, verb: Verb) -> None:
    if group.parent is not None and verb in _PERSONAL:
        raise Refused(
            Refusal.ATTACHED,
            f"group #{group.number} is attached to #{group.parent}: act on #{group.parent}, or unattach it first",
        )
    if group.maintenance and (
        verb in _CLOSED_TO_MAINTENANCE or (verb in (Verb.WIPE, Verb.DELETE) and group.resolved is None)
    ):
        raise Refused(
            Refusal.MAINTENANCE,
            f"group #{group.number} collects the groups of a maintenance window: resolve it to end the maintenance",
        )


def _refuse(group: GroupState, reason: Refusal, hint: str) -> Refused:
    return Refused(reason, f"group #{group.number} is {reason.value}{hint}")


def transition(group: GroupState, action: Action) -> Transition:
    """What `action` makes of `group`.

    Raises Refused where a person asks for the impossible; signals and timers that have nothing to do give a
    Transition without entries. Sources: alert-flow R-AGS-2, R-ACT-1 to R-ACT-11, R-SIG-2 to R-SIG-6.
    """
    _guard(group, action.verb)
    match action.verb:
        case Verb.ACKNOWLEDGE | Verb.UNACKNOWLEDGE | Verb.REMINDER_TIMEOUT | Verb.SOURCE_ACKNOWLEDGE:
            return _acknowledging(group, action)
        case Verb.SILENCE | Verb.UNSILENCE | Verb.SILENCE_ENDED:
            return _silencing(group, action)
        case Verb.UNRESOLVE | Verb.RESTART:
            return _reviving(group, action)
        case Verb.WIPE:
            if group.wiped:
                raise _refuse(group, Refusal.WIPED, " already")
            return _wipe(group, action)
        case Verb.DELETE:
            return Transition(
                group=group,
                entries=(_entry(LogKind.DELETED, action),),
                effects=_END | {Effect.DELETE_ROWS},
                children=replace(action, verb=Verb.UNATTACH),
            )
        case Verb.UNATTACH:
            if group.parent is None:
                raise _refuse(group, Refusal.NOT_ATTACHED, "")
            return _unattach(group, action)
        case Verb.MAINTENANCE_RELEASE:
            return Transition(group=group) if group.parent is None else _unattach(group, action)
        case _:
            return _resolving(group, action)


def _acknowledging(group: GroupState, action: Action) -> Transition:
    if action.verb is Verb.SOURCE_ACKNOWLEDGE:
        if group.acknowledged is not None:
            return Transition(group=group)
        if group.resolved is not None:  # the marker is added, the state stays (alert-flow R-SIG-6)
            mark = Mark(at=action.at, cause=Cause.SOURCE)
            return Transition(
                group=replace(group, acknowledged=mark),
                entries=(_entry(LogKind.ACKNOWLEDGED, action, cause=Cause.SOURCE),),
            )
        return _acknowledge(group, action, Cause.SOURCE)
    if action.verb is Verb.ACKNOWLEDGE:
        if group.resolved is not None:
            raise _refuse(group, Refusal.RESOLVED, ": unresolve it first")
        if group.acknowledged is not None:
            raise _refuse(group, Refusal.ACKNOWLEDGED, f" by {group.acknowledged.actor or 'the source'}")
        return _acknowledge(group, action, Cause.USER)
    if group.acknowledged is None or group.resolved is not None:
        if action.verb is Verb.REMINDER_TIMEOUT:
            return Transition(group=group)
        raise _refuse(group, Refusal.NOT_ACKNOWLEDGED, f" but {group.state.value}")
    timeout = action.verb is Verb.REMINDER_TIMEOUT
    kind = LogKind.UNACKNOWLEDGED_BY_TIMEOUT if timeout else LogKind.UNACKNOWLEDGED
    return _to_firing(group, action, kind)


def _silencing(group: GroupState, action: Action) -> Transition:
    if action.verb is Verb.SILENCE:
        if group.resolved is not None:
            raise _refuse(group, Refusal.RESOLVED, ": unresolve it first")
        if action.until is not None and action.until <= action.at:
            raise Refused(
                Refusal.PAST, "the silence ends before it begins: give a later end or none (for ever)"
            )
        return _silence(group, action)
    silent = group.state is State.SILENCED
    if action.verb is Verb.SILENCE_ENDED:
        same = group.silenced is not None and group.silenced.until == action.until
        return _unsilence(group, action) if silent and same else Transition(group=group)
    if not silent:
        raise _refuse(group, Refusal.NOT_SILENCED, f" but {group.state.value}")
    return _unsilence(group, action)


def _reviving(group: GroupState, action: Action) -> Transition:
    if group.wiped:
        raise _refuse(group, Refusal.WIPED, ": its content is gone, it stays resolved")
    if group.state is State.FIRING and action.verb is Verb.RESTART:
        raise _refuse(group, Refusal.FIRING, "")
    if group.resolved is not None:
        return _to_firing(group, action, LogKind.UNRESOLVED)
    if action.verb is Verb.UNRESOLVE:
        raise _refuse(group, Refusal.NOT_RESOLVED, f" but {group.state.value}")
    kind = LogKind.UNACKNOWLEDGED if group.state is State.ACKNOWLEDGED else LogKind.UNSILENCED
    return _to_firing(group, action, kind)


def _resolving(group: GroupState, action: Action) -> Transition:
    cause = _RESOLVING[action.verb]
    if group.resolved is not None:
        if action.verb is Verb.RESOLVE:
            raise _refuse(group, Refusal.RESOLVED, " already")
        return Transition(group=group)
    if not group.maintenance:
        return _resolve(group, action, cause)
    done = _resolve(group, action, Cause.MAINTENANCE)
    return replace(done, effects=done.effects | {Effect.END_MAINTENANCE}, children=None)


def follow(child: GroupState, action: Action) -> Transition | None:
    """What an action on the root makes of an attached group; None where the child is already past it.

    Children follow silently: no refusals, the child's own end or beginning of grouping is respected.
    """
    if action.verb in (Verb.UNATTACH, Verb.MAINTENANCE_RELEASE):
        return _unattach(child, action)
    if (
        action.verb is Verb.SILENCE_ENDED
    ):  # a child's silence may have no end of its own: it ends with the root's
        action = replace(action, verb=Verb.UNSILENCE)
    try:
        done = transition(replace(child, parent=None), action)
    except Refused:
        return None
    if done.group == replace(child, parent=None):
        return None
    timers = {Effect.START_ESCALATION, Effect.SCHEDULE_UNSILENCE, Effect.ARM_REMINDER}
    return replace(
        done, group=replace(done.group, parent=child.parent), effects=done.effects - timers, children=None
    )


def attach(child: GroupState, parent: GroupState, action: Action, *, has_children: bool) -> Transition:
    """Attach `child` to `parent`, taking over the parent's state (alert-flow R-ACT-7). Raises Refused.

    The silence that a child takes over has no end of its own; it ends with the parent's.
    """
    for group in (child, parent):
        if group.maintenance:
            raise _refuse(group, Refusal.MAINTENANCE, ": it takes groups by itself while its window runs")
    if child.number == parent.number:
        raise Refused(Refusal.SAME, f"group #{child.number} cannot be attached to itself")
    for group in (parent, child):
        if group.parent is not None:
            raise _refuse(group, Refusal.ATTACHED, f" to #{group.parent}: unattach it first")
    if parent.resolved is not None:
        raise _refuse(parent, Refusal.RESOLVED, ": attach to an open group")
    if has_children:
        raise Refused(
            Refusal.HAS_CHILDREN, f"group #{child.number} has attached groups of its own: unattach them first"
        )
    silenced = parent.silenced and Silence(at=action.at, actor=action.actor.name)
    return Transition(
        group=replace(child, parent=parent.number, acknowledged=parent.acknowledged, silenced=silenced),
        entries=(_entry(LogKind.ATTACHED, action, parent=str(parent.number)),),
        parent_entries=(_entry(LogKind.ATTACHED, action, child=str(child.number)),),
        effects=_STOP,
    )


def collect(child: GroupState, parent: int, at: Micros) -> Transition:
    """A maintenance group takes in a new group: logged on the maintenance group only (alert-flow R-MNT-6)."""
    taken = Entry(kind=LogKind.ATTACHED, at=at, reason="maintenance", details=(("child", str(child.number)),))
    return Transition(
        group=replace(child, parent=parent),
        parent_entries=(taken,),
        effects=frozenset({Effect.STOP_ESCALATION}),
    )
