"""What values of alerts may not be in a chat's markup: tags, mentions, links that show another place than they lead to.

Templates are written by those who own the flow and may use the markup of their channel; values come from outside and
may not. So values are made harmless before a template sees them, as alert-flow R-TPL-27 has it for Telegram alone.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

GAP = "\u200b"
"""A space without width: what it parts looks the same and means nothing."""

_LINK = re.compile(r"\](?=[(\[:])")
_MENTION = re.compile(r"(?<![\w.+-])@(?=\w)")


def slack(text: str) -> str:
    """The three characters that begin or end links and mentions, as Slack's documentation wants them written."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def markdown(text: str) -> str:
    """Links whose text hides where they lead come apart, autolinks in brackets and mentions, too."""
    return unmentioned(_LINK.sub("]" + GAP, text)).replace("<", "<" + GAP)


def mail(text: str) -> str:
    """Links come apart in e-mail as well; tags are escaped there, and nobody is mentioned."""
    return _LINK.sub("]" + GAP, text)


def unmentioned(text: str) -> str:
    """`@name` as text, in tools that would call people by it."""
    return _MENTION.sub("@" + GAP, text)


ESCAPES: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {
        "telegram": html.escape,
        "slack": slack,
        "mattermost": markdown,
        "discord": markdown,
        "msteams": markdown,
        "email": mail,
    }
)
"""By channel of appearance templates; the others have no markup, or escape what comes out (the web)."""


def harmless(channel: str, value: Any) -> Any:
    """Texts in `value` (JSON), keys as well, as the channel's templates may have them; {} where it is too deep."""
    escape = ESCAPES.get(channel)
    if escape is None:
        return value
    try:
        return _escaped(value, escape)
    except RecursionError:
        return {}


def _escaped(value: Any, escape: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, dict):
        return {escape(key): _escaped(child, escape) for key, child in value.items()}
    if isinstance(value, list):
        return [_escaped(child, escape) for child in value]
    return value
