"""Telegram's HTML: the tags it knows, in a text that is never longer than it allows and always closed."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from tocsin.notify.text import missing, start, utf16

_TAGS = {
    "b": "b", "strong": "b", "i": "i", "em": "i", "u": "u", "ins": "u", "s": "s", "strike": "s", "del": "s",
    "code": "code", "pre": "pre", "blockquote": "blockquote", "tg-spoiler": "tg-spoiler", "a": "a",
}  # fmt: skip
"""What Telegram shows, and under which name it is written."""
_TAG = re.compile(r"""<(/?)([a-zA-Z][a-zA-Z0-9-]*)((?:[^<>"']|"[^"]{0,2000}"|'[^']{0,2000}')*)>""")
_HREF = re.compile(r"""\bhref\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
_NOTE = 60
"""Room for the words that say how much is missing."""
_BREAKS = frozenset({"br", "p", "div", "li", "tr"})


def escaped(text: str) -> str:
    """Plain text."""
    return html.escape(text, quote=False)


def rendered(text: str, limit: int) -> str:
    """What a template gave, in at most `limit` visible characters (as UTF-16 has them).

    Tags that Telegram knows stay, links to web addresses too; every other tag is left out, its text stays. Whatever is
    open at the end is closed. What is no tag is text.
    """
    pieces = list(_pieces(text))
    whole = sum(utf16(shown) for kind, shown in pieces if kind == "text")
    budget = room = limit if whole <= limit else max(limit - _NOTE, 0)
    out: list[str] = []
    opened: list[tuple[str, bool]] = []
    for kind, shown in pieces:
        if kind == "open":
            _open(shown, opened, out)
        elif kind == "close":
            _close(shown, opened, out)
        else:
            kept = start(shown, room, utf16)
            out.append(escaped(kept))
            room -= utf16(kept)
            if len(kept) < len(shown):
                break
    out.extend(f"</{name}>" for name, shown_too in reversed(opened) if shown_too)
    return "".join(out) + (missing(budget - room, whole) if whole > limit else "")


def link(url: str, text: str) -> str:
    """`text` is plain; "" as URL gives the text alone."""
    return f'<a href="{html.escape(url)}">{escaped(text)}</a>' if url else escaped(text)


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """("text", as seen), ("open", name and attributes as Telegram has them; "" not to be shown) and ("close", name)."""
    at = 0
    for found in _TAG.finditer(text):
        yield "text", html.unescape(text[at : found.start()])
        at = found.end()
        end, name, attributes = found[1], found[2].lower(), found[3]
        known = _TAGS.get(name)
        if known is not None:
            yield ("close", known) if end else ("open", _link_tag(attributes) if known == "a" else known)
        elif name in _BREAKS and not end:
            yield "text", "\n"
    yield "text", html.unescape(text[at:])


def _link_tag(attributes: str) -> str:
    found = _HREF.search(attributes)
    url = html.unescape((found[1] or found[2] or found[3] or "") if found else "")
    return f'a href="{html.escape(url)}"' if _is_web(url) else ""


def _open(tag: str, opened: list[tuple[str, bool]], out: list[str]) -> None:
    """The same tag within itself is left out: Telegram refuses that."""
    name = tag.partition(" ")[0] or "a"
    shown = bool(tag) and all(held != name for held, _ in opened)
    opened.append((name, shown))
    if shown:
        out.append(f"<{tag}>")


def _close(name: str, opened: list[tuple[str, bool]], out: list[str]) -> None:
    """Closes the innermost tag of this name and what is open within it; a stray end is left out."""
    if all(held != name for held, _ in opened):
        return
    while opened:
        held, shown = opened.pop()
        if shown:
            out.append(f"</{held}>")
        if held == name:
            return


def _is_web(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return (parts.scheme in ("http", "https") and bool(parts.hostname)) or parts.scheme == "mailto"
