"""Telegram's HTML: the tags it knows, in a text that is never longer than it allows and always closed."""

from __future__ import annotations

import html
from html.parser import HTMLParser
from urllib.parse import urlsplit

from tocsin.notify.text import missing, start, utf16

_TAGS = {
    "b": "b", "strong": "b", "i": "i", "em": "i", "u": "u", "ins": "u", "s": "s", "strike": "s", "del": "s",
    "code": "code", "pre": "pre", "blockquote": "blockquote", "tg-spoiler": "tg-spoiler", "a": "a",
}  # fmt: skip
"""What Telegram shows, and under which name it is written."""
_BREAKS = frozenset({"br", "p", "div", "li", "tr"})


def escaped(text: str) -> str:
    """Plain text."""
    return html.escape(text, quote=False)


def rendered(text: str, limit: int) -> str:
    """What a template gave, in at most `limit` visible characters (as UTF-16 has them).

    Tags that Telegram knows stay, links to web addresses too; every other tag is left out, its text stays. Whatever is
    open at the end is closed.
    """
    reader = _Reader()
    reader.feed(text)
    reader.close()
    return reader.written(limit)


def link(url: str, text: str) -> str:
    """`text` is plain; "" as URL gives the text alone."""
    return f'<a href="{html.escape(url)}">{escaped(text)}</a>' if url else escaped(text)


class _Reader(HTMLParser):
    """Gathers texts and the tags between them."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._pieces: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = _TAGS.get(tag)
        if known == "a":
            url = dict(attrs).get("href") or ""
            self._pieces.append(("open", f'a href="{html.escape(url)}"' if _is_web(url) else ""))
        elif known:
            self._pieces.append(("open", known))
        elif tag in _BREAKS:
            self._pieces.append(("text", "\n"))

    def handle_endtag(self, tag: str) -> None:
        known = _TAGS.get(tag)
        if known:
            self._pieces.append(("close", known))

    def handle_data(self, data: str) -> None:
        self._pieces.append(("text", data))

    def unknown_decl(self, data: str) -> None:
        """`<![CDATA[` and the like: not shown."""

    def written(self, limit: int) -> str:
        whole = sum(utf16(text) for kind, text in self._pieces if kind == "text")
        budget = room = limit if whole <= limit else max(limit - _NOTE, 0)
        out: list[str] = []
        opened: list[tuple[str, bool]] = []
        for kind, text in self._pieces:
            if kind == "open":
                _open(text, opened, out)
            elif kind == "close":
                _close(text, opened, out)
            else:
                kept = start(text, room, utf16)
                out.append(escaped(kept))
                room -= utf16(kept)
                if len(kept) < len(text):
                    break
        out.extend(f"</{name}>" for name, shown in reversed(opened) if shown)
        return "".join(out) + (missing(budget - room, whole) if whole > limit else "")


_NOTE = 60
"""Room for the words that say how much is missing."""


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
