"""Text for HTML, XML and URLs."""
# ruff: noqa: FBT002, PLR0913, PLR0917 - signatures of Jinja2's filters

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import quote_from_bytes

from jinja2.utils import urlize as jinja_urlize

from tocsin.flow.templates.meter import STEP, Meter
from tocsin.flow.templates.missing import Missing
from tocsin.flow.templates.operators import elements
from tocsin.flow.templates.problem import TemplateProblem
from tocsin.flow.templates.text import Safe, name_of, plain, text_of

_ENTITIES = (("&", "&amp;"), (">", "&gt;"), ("<", "&lt;"), ("'", "&#39;"), ('"', "&#34;"))
_BAD_KEY = re.compile(r"[\s/>=]", re.ASCII)
_LONGEST_WORD = 2_000
_SCHEME = re.compile(r"[\w.+-]{2,20}:/{0,2}")


def escape(meter: Meter, value: Any) -> Safe:
    """The text with what has a meaning in HTML as entities; once only: escaped text stays as it is."""
    if type(value) is Safe:
        return value
    return force_escape(meter, value)


def force_escape(meter: Meter, value: Any) -> Safe:
    text = plain(meter, value)
    meter.produce(len(text), text)
    for character, entity in _ENTITIES:
        meter.spend(len(entity) * text.count(character))
        text = text.replace(character, entity)
    return Safe(text)


def safe(meter: Meter, value: Any) -> Safe:
    return Safe(text_of(meter, value))


def strip_tags(meter: Meter, value: Any) -> Safe:
    """Without comments and tags, entities resolved, white space collapsed."""
    text = plain(meter, value)
    meter.produce(2 * len(text), text)
    text = _without(_without(text, "<!--", "-->"), "<", ">")
    meter.spend(STEP * (text.count(" ") + text.count("\n")) // 10)
    return Safe(html.unescape(" ".join(text.split())))


def _without(text: str, start: str, end: str) -> str:
    pieces = []
    position = 0
    while (first := text.find(start, position)) >= 0:
        last = text.find(end, first)
        if last < 0:
            break
        pieces.append(text[position:first])
        position = last + len(end)
    pieces.append(text[position:])
    return "".join(pieces)


def urlencode(meter: Meter, value: Any) -> str:
    """A text quoted for a path, or a mapping (or list of pairs) as a query string."""
    if isinstance(value, dict | list | tuple):
        pairs = value.items() if isinstance(value, dict) else value
        pieces = []
        for pair in pairs:
            meter.spend(STEP)
            if not isinstance(pair, list | tuple) or len(pair) != 2:
                raise TemplateProblem("type", "urlencode needs text, a mapping or a list of pairs")
            pieces.append(f"{_quote(meter, pair[0], b'')}={_quote(meter, pair[1], b'')}".replace("%20", "+"))
        meter.produce(sum(map(len, pieces)) + len(pieces))
        return "&".join(pieces)
    return _quote(meter, value, b"/")


def _quote(meter: Meter, value: Any, kept: bytes) -> str:
    text = text_of(meter, value)
    meter.spend(len(text) * (3 if text.isascii() else 12))
    return quote_from_bytes(text.encode("utf-8", "replace"), kept)


def urlize(
    meter: Meter,
    value: Any,
    trim_url_limit: Any = None,
    nofollow: Any = False,
    target: Any = None,
    rel: Any = None,
    extra_schemes: Any = None,
) -> Safe:
    """Addresses in the text as links. Words of more than 2,000 characters are left alone."""
    text = plain(meter, value)
    words = text.split() if len(text) <= 1_000_000 else [text]
    longest = max(map(len, words), default=0)
    if longest > _LONGEST_WORD:
        return force_escape(meter, text)
    parts = set((str(rel) if rel else "").split()) | {"noopener"} | ({"nofollow"} if nofollow else set())
    label = None if target is None else str(target)
    if len(label or "") + sum(map(len, parts)) > STEP:
        raise TemplateProblem("limit", "rel and target of urlize have at most 100 characters")
    schemes = [text_of(meter, scheme) for scheme in elements(extra_schemes)] if extra_schemes else []
    if len(schemes) > 10 or not all(map(_SCHEME.fullmatch, schemes)):
        raise TemplateProblem("other", "extra_schemes of urlize are at most ten such as ftp://")
    meter.spend(len(words) * 5 * STEP + 20 * len(text) + longest * longest // STEP)
    limit = trim_url_limit if type(trim_url_limit) is int else None
    return Safe(
        jinja_urlize(
            text, trim_url_limit=limit, rel=" ".join(sorted(parts)), target=label, extra_schemes=schemes
        )
    )


def xmlattr(meter: Meter, value: Any, autospace: Any = True) -> Safe:
    """A mapping as attributes of an element; none and missing values are left out."""
    if not isinstance(value, dict):
        raise TemplateProblem("type", f"xmlattr needs a mapping, not {name_of(value)}")
    pieces = []
    for key, item in value.items():
        meter.spend(STEP)
        if item is None or isinstance(item, Missing):
            continue
        name = text_of(meter, key)
        if _BAD_KEY.search(name):
            raise TemplateProblem("other", f"{name[:50]!r} is not a name of an attribute")
        pieces.append(f'{escape(meter, name)}="{escape(meter, item)}"')
    text = " ".join(pieces)
    meter.produce(len(text), text)
    return Safe(" " + text if autospace and text else text)
