"""An e-mail's HTML part as plain text, in time proportional to its length whatever a sender puts there."""

from __future__ import annotations

import re
from html import unescape

LIMIT = 1_000_000
"""Characters that are looked at."""

_BLOCK_NAMES = (
    "address article aside blockquote br dd div dl dt fieldset figure footer form h1 h2 h3 h4 h5 h6 header hr li main "
    "nav ol p pre section table tbody td tfoot th thead tr ul"
)
_BLOCKS = frozenset(_BLOCK_NAMES.split())
_HIDDEN = {
    name: re.compile(end, re.IGNORECASE)
    for name, end in (
        ("head", r"</head|<body"),
        ("script", r"</script"),
        ("style", r"</style"),
        ("template", r"</template"),
        ("title", r"</title"),
    )
}
"""Elements without text for people, and what ends each."""

_RULE = "-" * 32
_SPACE = re.compile(r"\s+")
_NAME = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9:-]*)")
_ATTRIBUTES = re.compile(r"""(?:[^>"']++|"[^"]*+"|'[^']*+')*+>""")
_HREF = re.compile(r"""(?<![\w-])href\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
_HUGE_REFERENCE = re.compile(r"&#(?:\d{8,}|[xX][0-9a-fA-F]{7,});?")


class _TextOfHtml:
    def __init__(self, html: str) -> None:
        self.parts: list[str] = []
        self._html = html
        self._quotes_close = True
        self._link: tuple[str, int] | None = None

    def read(self) -> None:
        html, at = self._html, 0
        while at < len(html):
            found = html.find("<", at)
            if found < 0:
                found = len(html)
            self._text(html[at:found])
            at = self._markup(found) if found < len(html) else found

    def _markup(self, at: int) -> int:
        """Reads what begins at a `<`; where it ends. Without an end it goes to the end of the text, as in browsers."""
        html = self._html
        name = _NAME.match(html, at)
        if name is not None:
            return self._tag(name)
        if html.startswith("<!--", at):
            return self._after("-->", at + 4)
        if html[at + 1 : at + 2] in ("!", "?", "/"):
            return self._after(">", at)
        self._text("<")
        return at + 1

    def _after(self, mark: str, at: int) -> int:
        found = self._html.find(mark, at)
        return len(self._html) if found < 0 else found + len(mark)

    def _tag(self, name: re.Match[str]) -> int:
        html, end, tag = self._html, -1, name[2].lower()
        if self._quotes_close:
            attributes = _ATTRIBUTES.match(html, name.end())
            self._quotes_close = attributes is not None
            end = attributes.end() if attributes is not None else -1
        if end < 0:
            end = self._after(">", name.end())
        if name[1]:
            self._closing(tag)
            return end
        self._opening(tag, html[name.end() : end])
        if tag in _HIDDEN:
            hidden = _HIDDEN[tag].search(html, end)
            return len(html) if hidden is None else hidden.start()
        return end

    def _opening(self, tag: str, attributes: str) -> None:
        if tag in _BLOCKS:
            self.parts.append("\n")
        if tag == "li":
            self.parts.append("* ")
        elif tag == "hr":
            self.parts.append(f"{_RULE}\n")
        elif tag == "a":
            target = _HREF.search(attributes)
            self._link = (unescape(target[target.lastindex or 0]) if target else "", len(self.parts))

    def _closing(self, tag: str) -> None:
        if tag in _BLOCKS:
            self.parts.append("\n")
        if tag == "a" and self._link is not None:
            target, first = self._link
            self._link = None
            if target and target != "".join(self.parts[first:]).strip():
                self.parts.append(f" ({target})")

    def _text(self, text: str) -> None:
        if "&" in text:
            text = unescape(text)
        self.parts.append(_SPACE.sub(" ", text))


def text_of_html(html: str) -> str:
    """Plain text of an HTML part (alert-flow R-EML-6).

    Blocks and line breaks become new lines, links become their text and the target in parentheses, list items start
    with an asterisk, a rule is 32 dashes; blank lines go and every line is trimmed.
    """
    reader = _TextOfHtml(_HUGE_REFERENCE.sub("\ufffd", html[:LIMIT]))
    reader.read()
    lines = (" ".join(line.split()) for line in "".join(reader.parts).split("\n"))
    return "\n".join(line for line in lines if line)
