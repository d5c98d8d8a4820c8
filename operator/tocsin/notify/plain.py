"""A message as plain text, for channels that know no markup: paging services, push messages, text parts of mails."""

from __future__ import annotations

import re

from tocsin.notify.message import Message
from tocsin.notify.text import (
    count_words,
    failures,
    fit,
    items_left,
    name_of,
    one_line,
    shown_items,
    state_words,
)

_LINK = re.compile(r"!?\[([^\]\n]{0,500})\]\(<?([^)\s>]{1,2000})>?(?:\s+\"[^\"\n]*\")?\)")
_SLACK_LINK = re.compile(r"<([a-z]{3,10}:[^|>\s]{1,2000})\|([^>\n]{1,500})>")
_EMPHASIS = re.compile(r"(?<!\w)(\*\*|__|~~|[*`~])(?=\S)([^\n]{1,500}?)(?<=\S)\1(?!\w)")
_HEADING = re.compile(r"^[ \t]{0,3}(?:#{1,6}|>)[ \t]+", re.MULTILINE)


def without_markup(text: str) -> str:
    """Markdown and Slack's markup as people would read it aloud: links as `words (URL)`, no stars and backticks."""
    text = _SLACK_LINK.sub(r"\2 (\1)", text)
    text = _LINK.sub(lambda found: f"{found[1]} ({found[2]})" if found[1] else found[2], text)
    text = _HEADING.sub("", text)
    return _EMPHASIS.sub(r"\2", text)


def headline(message: Message) -> str:
    """One line: the title, with what changed before it where the group fires no more."""
    title = one_line(without_markup(message.title))
    state = state_words(message)
    return f"{state}: {title}" if state and state != "Firing" else title


def body(message: Message, *, limit: int, link: bool = True) -> str:
    """Everything but the title, in at most `limit` characters; with `link` it ends with the link, which is never cut."""
    tail = f"\n{message.link}" if link and message.link and len(message.link) < limit // 2 else ""
    return (fit("\n".join(_lines(message)), limit - len(tail)) + tail).strip("\n")


def _lines(message: Message) -> list[str]:
    about = " ".join(part for part in (name_of(message), message.integration) if part)
    lines = [line for line in (message.reason, without_markup(message.text).strip()) if line]
    lines += failures(message)
    lines += [f"{number} {title}" for number, title, _ in shown_items(message)]
    left = items_left(message)
    if left:
        lines.append(f"and {left} more")
    lines += [line for line in (count_words(message), about) if line]
    return lines
