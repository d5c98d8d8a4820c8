"""What channels are given to send, to whom, and what they give back."""

from __future__ import annotations

from typing import Literal

import msgspec

from tocsin.flow.groups import State
from tocsin.flow.model import Micros

Kind = Literal["group", "update", "personal", "announcement", "bundle", "reminder"]


class BundleItem(msgspec.Struct, frozen=True, kw_only=True):
    """One group of a bundle. `title` is plain text."""

    number: int
    title: str
    link: str = ""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message, rendered with the appearance templates of the channel's type but not yet in its markup or limits.

    `key` is the idempotency key: the same again for a repeated attempt. `link` is the group's page in the console, ""
    where there is none. `reason` says why one is told. `errors`: appearance templates that failed; then title, labels
    and errors are shown plainly. `items` and `total` (how many there are, `items` may be fewer) are of a bundle. `thread`
    is the reference of the group's own message in this channel, "" where there is none. `confirm`: whoever acknowledged
    is to press a button, or the group is taken from them.
    """

    kind: Kind
    key: str
    title: str
    text: str = ""
    image_url: str = ""
    link: str = ""
    source_link: str = ""
    state: State = State.FIRING
    number: int = 0
    public_id: str = ""
    integration: str = ""
    team: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    alerts_count: int = 0
    started_at: Micros = Micros(0)
    acknowledged_by: str = ""
    resolved_by: str = ""
    silenced_until: Micros | None = None
    reason: str = ""
    errors: tuple[str, ...] = ()
    items: tuple[BundleItem, ...] = ()
    total: int = 0
    thread: str = ""
    confirm: bool = False


class Recipient(msgspec.Struct, frozen=True, kw_only=True):
    """`address` is what the channel calls a person; "" is the place that the channel itself names."""

    address: str = ""
    name: str = ""


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """`reference`: what this channel needs to edit the message or to answer it; `receipt`: the vendor's id, for the log."""

    reference: str = ""
    receipt: str = ""
