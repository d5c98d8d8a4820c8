"""Markdown as Mattermost and Discord read it: plain text that means nothing in it, links, and cuts that break nothing."""

from __future__ import annotations

import re

from tocsin.flow.markup import unmentioned

ATOMS = re.compile(r"\[[^\[\]\n]*\]\([^()\s]*\)|https?://\S+")
"""Links and addresses mean something only as a whole."""

_SPECIAL = re.compile(r"([\\`*_~\[\]<>|#])")


def plain(text: str) -> str:
    """Text without any markup and mentions."""
    return unmentioned(_SPECIAL.sub(r"\\\1", text))


def rendered(text: str) -> str:
    """What a template gave: its markup stays, nobody is mentioned."""
    return unmentioned(text)


def balanced(text: str) -> str:
    """A code block that was cut is closed, so that what follows is no code."""
    return text + "\n```" if text.count("```") % 2 else text


def link(url: str, text: str) -> str:
    """`text` is plain; "" as URL gives the text alone."""
    safe = (
        url.replace("(", "%28")
        .replace(")", "%29")
        .replace(" ", "%20")
        .replace("<", "%3C")
        .replace(">", "%3E")
    )
    return f"[{plain(text)}]({safe})" if url else plain(text)
