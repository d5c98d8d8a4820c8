"""Slack's markup: what a rendered text may hold, and what plain text has to look like."""

from __future__ import annotations

import re

from tocsin.flow.markup import GAP, slack

ATOMS = re.compile(r"<[^<>\n]*>|&(?:amp|lt|gt);")
"""Pieces that mean something only as a whole."""

_ANGLES = re.compile(r"<([^<>\n]*)>|<")
_LINK = re.compile(r"(?:https?://|mailto:|tel:)[^|\s]+(?:\|.*)?|!date\^\d+\^.*")
_BARE_AMPERSAND = re.compile(r"&(?!(?:amp|lt|gt);)")
_BARE_URL = re.compile(r"""(?<![<|\w/])https?://(?:&amp;|[^\s<>|*`&])+(?<![.,;:!?)\]'"])""")
_MASS = re.compile(r"@(?=channel|here|everyone|group)", re.IGNORECASE)
_USER = re.compile(r"[UW][A-Z0-9]{5,30}")
_GROUP = re.compile(r"S[A-Z0-9]{5,30}")

plain = slack
"""Text without any markup."""


def rendered(text: str) -> str:
    """What a template gave: links, dates and formatting stay, nobody is mentioned, addresses can be followed."""
    text = _ANGLES.sub(_angle, _BARE_AMPERSAND.sub("&amp;", text))
    text = _MASS.sub("@" + GAP, text)
    return _BARE_URL.sub(lambda found: f"<{found[0]}>", text)


def balanced(text: str) -> str:
    """A code block that was cut is closed, so that what follows is no code."""
    return text + "\n```" if text.count("```") % 2 else text


def link(url: str, text: str) -> str:
    """`text` is plain; "" as URL gives the text alone."""
    label = plain(text).replace("|", "¦")
    return f"<{_url(url)}|{label}>" if url else label


def mention(address: str, name: str) -> str:
    """A person or a user group by id; anything else is called by name without being told."""
    if _USER.fullmatch(address):
        return f"<@{address}>"
    if _GROUP.fullmatch(address):
        return f"<!subteam^{address}>"
    return plain(name or address)


def _url(url: str) -> str:
    return plain(url).replace("|", "%7C")


def _angle(found: re.Match[str]) -> str:
    inside = found[1]
    if inside is None:
        return "&lt;"
    return found[0] if _LINK.fullmatch(inside) else f"&lt;{inside}&gt;"
