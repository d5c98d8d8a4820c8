"""Buttons under messages of a group: which ones, and the mark that proves that Tocsin made them.

A button carries the group's public id and a mark over the kind of chat, the app that shows it and that id. Whoever
holds the credentials of some other app can so not act on groups that were never shown in it.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from tocsin.flow.groups import State
from tocsin.flow.model import ChannelFragment
from tocsin.notify.message import Message
from tocsin.notify.tools import Tools
from tocsin.store.keys import KeyRing

_MARK = 24
SILENCES = (
    ("30 minutes", 1_800),
    ("1 hour", 3_600),
    ("2 hours", 7_200),
    ("3 hours", 10_800),
    ("4 hours", 14_400),
    ("6 hours", 21_600),
    ("12 hours", 43_200),
    ("16 hours", 57_600),
    ("20 hours", 72_000),
    ("24 hours", 86_400),
    ("for ever", 0),
)
"""What is offered (alert-flow R-ACT-5): words, seconds; 0 is for ever."""

SHORT_SILENCES = tuple(choice for choice in SILENCES if choice[1] in (1_800, 3_600, 14_400, 86_400))
"""Where each choice is a button of its own."""

CONFIRM = "confirm"
SILENCE = "silence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """`action` is a verb of people, or `confirm`. `weight`: "primary", "danger" or ""."""

    action: str
    label: str
    weight: str = ""


_BY_STATE = {
    State.FIRING: (
        Button(action="acknowledge", label="Acknowledge", weight="primary"),
        Button(action="resolve", label="Resolve"),
        Button(action=SILENCE, label="Silence"),
    ),
    State.ACKNOWLEDGED: (
        Button(action="unacknowledge", label="Unacknowledge"),
        Button(action="resolve", label="Resolve", weight="primary"),
        Button(action=SILENCE, label="Silence"),
    ),
    State.SILENCED: (
        Button(action="acknowledge", label="Acknowledge", weight="primary"),
        Button(action="unsilence", label="Unsilence"),
        Button(action="resolve", label="Resolve"),
    ),
    State.RESOLVED: (Button(action="unresolve", label="Unresolve"),),
}
_CONFIRM = Button(action=CONFIRM, label="I am still working on it", weight="primary")


class Buttons:
    """The buttons of one channel's messages; none where the channel cannot get an answer back."""

    def __init__(self, fragment: ChannelFragment, tools: Tools, *, answered: bool) -> None:
        """`answered`: what the channel itself needs for answers is there."""
        self._keys = tools.keys if answered else None
        self._type = fragment.type
        self._app = app_of(fragment)

    def of(self, message: Message) -> tuple[Button, ...]:
        if self._keys is None or not message.public_id:
            return ()
        if message.kind == "reminder":
            return (_CONFIRM,) if message.confirm else ()
        return _BY_STATE[message.state]

    def value(self, message: Message) -> str:
        """What a button carries: `<public id>.<mark>`."""
        assert self._keys is not None, "there are buttons only with keys"
        return f"{message.public_id}.{mark(self._keys, self._type, self._app, message.public_id)}"


def app_of(fragment: ChannelFragment) -> str:
    """What tells apps, bots and servers apart: the keyed digest of the token they are used with."""
    key = fragment.secrets.get(f"{fragment.type}.tokenSecretRef")
    if key is None or not key.digest:  # not known to be anybody else's
        return f"{fragment.namespace}/{fragment.name}"
    return key.digest


def mark(keys: KeyRing, kind: str, app: str, public_id: str) -> str:
    return keys.digest(f"button\n{kind}\n{app}\n{public_id}".encode())[:_MARK]


def read(keys: KeyRing, fragment: ChannelFragment, value: str) -> str | None:
    """The public id in a button's value; None if Tocsin did not make it for this channel's app."""
    public_id, _, given = value.partition(".")
    expected = mark(keys, fragment.type, app_of(fragment), public_id)
    return public_id if hmac.compare_digest(given.encode(), expected.encode()) else None
