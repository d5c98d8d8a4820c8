"""What messages of all channels say, as plain text, and how texts are made to fit.

Everything here is plain: each channel escapes it for its own markup. Only `Message.title` and `Message.text` of a
rendered group are markup already.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

from msgspec.structs import replace

from tocsin.flow.groups import State
from tocsin.flow.model import Micros
from tocsin.notify.message import Message, Recipient

RENDERED = frozenset({"group", "update", "personal", "reminder"})
"""Kinds whose title and text come from appearance templates; those of the others are plain text."""

COLOURS = {
    State.FIRING: 0xD7263D,
    State.ACKNOWLEDGED: 0xE9A23B,
    State.SILENCED: 0x8A8D91,
    State.RESOLVED: 0x2E9E5B,
}
NEUTRAL = 0x3B6EA5
_SHOWN_LABELS = 15
_SHOWN_ITEMS = 20


def is_rendered(message: Message) -> bool:
    """Whether title and text are in the channel's markup."""
    return message.kind in RENDERED


def colour(message: Message) -> int:
    """0xRRGGBB of the state; a quiet one where the message is about no single group."""
    return COLOURS[message.state] if message.number else NEUTRAL


def state_words(message: Message) -> str:
    """`Firing`, `Acknowledged by alice` ...; "" where the message is about no single group."""
    if not message.number:
        return ""
    match message.state:
        case State.ACKNOWLEDGED:
            return f"Acknowledged by {message.acknowledged_by or 'the source'}"
        case State.RESOLVED:
            return f"Resolved by {message.resolved_by or 'the source'}"
        case State.SILENCED:
            until = message.silenced_until
            return "Silenced for ever" if until is None else f"Silenced until {moment(until)}"
        case _:
            return "Firing"


def count_words(message: Message) -> str:
    """That only the last of several alerts is shown (alert-flow R-TPL-26); "" for one."""
    return f"{message.alerts_count} alerts, only the last one is shown" if message.alerts_count > 1 else ""


def facts(message: Message) -> tuple[str, ...]:
    """State, count and origin, each a few words."""
    origin = message.integration + (f" (team {message.team})" if message.team else "")
    since = f"since {moment(message.started_at)}" if message.number and message.started_at else ""
    return tuple(fact for fact in (state_words(message), count_words(message), origin, since) if fact)


def addressed(message: Message, recipient: Recipient) -> Message:
    """A message for a person who has no address here says in its reason whom it is for."""
    if message.kind != "personal" or recipient.address or not recipient.name:
        return message
    reason = f"for {recipient.name}" + (f": {message.reason}" if message.reason else "")
    return replace(message, reason=reason)


def name_of(message: Message) -> str:
    """`#12`; "" where the message is about no single group."""
    return f"#{message.number}" if message.number else ""


def labels_of(message: Message) -> tuple[str, ...]:
    """`key: value`, the first fifteen."""
    return tuple(f"{key}: {value}" for key, value in message.labels[:_SHOWN_LABELS])


def failures(message: Message) -> tuple[str, ...]:
    """What stands in for appearance templates that failed: labels, and which template failed how."""
    if not message.errors:
        return ()
    return (*labels_of(message), *(f"Template failed: {error}" for error in message.errors))


def items_left(message: Message) -> int:
    """How many groups of a bundle are not among the items that are shown."""
    return max(message.total - len(message.items[:_SHOWN_ITEMS]), 0)


def shown_items(message: Message) -> tuple[tuple[str, str, str], ...]:
    """(`#12`, title, link) of a bundle's groups, as many as one message should list."""
    return tuple(
        (f"#{item.number}", one_line(item.title), item.link) for item in message.items[:_SHOWN_ITEMS]
    )


def moment(at: Micros) -> str:
    return datetime.fromtimestamp(at / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def one_line(text: str) -> str:
    return " ".join(text.split())


def missing(shown: int, whole: int) -> str:
    """What a cut text ends with."""
    return f"… [cut: {shown} of {whole} characters shown]"


def fit(
    text: str,
    limit: int,
    *,
    atoms: re.Pattern[str] | None = None,
    size: Callable[[str], int] = len,
) -> str:
    """`text` in at most `limit` units of `size`, saying at its end how much is missing.

    A piece that matches one of `atoms` (a link, an entity) is kept whole or left out.
    """
    if size(text) <= limit:
        return text
    longest = size(missing(len(text), len(text)))
    if longest >= limit:
        return start(text, limit, size)
    kept = start(text, limit - longest, size)
    if atoms is not None:
        for found in atoms.finditer(text):
            if found.start() >= len(kept):
                break
            if found.end() > len(kept):
                kept = text[: found.start()]
    return kept + missing(len(kept), len(text))


def short(text: str, limit: int, size: Callable[[str], int] = len) -> str:
    """One line of at most `limit` units, three dots for what is missing: for titles, that have no room for more."""
    line = one_line(text)
    return line if size(line) <= limit else start(line, limit - 1, size).rstrip() + "…"


def utf16(text: str) -> int:
    """Length as Telegram, Discord and JavaScript count it."""
    return len(text) + sum(character > "\uffff" for character in text)


def start(text: str, limit: int, size: Callable[[str], int] = len) -> str:
    """As much of the beginning as fits."""
    kept = text[: max(limit, 0)]
    while kept and (over := size(kept) - limit) > 0:
        kept = kept[: -((over + 3) // 4)]
    return kept
