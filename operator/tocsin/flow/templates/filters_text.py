"""Filters that make text of text."""
# ruff: noqa: FBT002, PLR0913, PLR0917 - signatures of Jinja2's filters

from __future__ import annotations

import re
from collections.abc import Iterator
from pprint import pformat
from typing import Any

from tocsin.flow.templates.meter import STEP, Meter
from tocsin.flow.templates.methods import METHODS
from tocsin.flow.templates.methods import replace as replace_in
from tocsin.flow.templates.percent import percent
from tocsin.flow.templates.problem import TemplateProblem
from tocsin.flow.templates.text import name_of, plain, text_of

_WORD_START = re.compile(r"([-\s({\[<]+)")
_WORD = re.compile(r"\w+")
_CHUNK = re.compile(r"\s+|[^\s-]+-(?=\w)|[^\s-]+|-+")
_CHUNK_WHOLE = re.compile(r"\s+|\S+")
_PPRINT = 20_000


def integer(value: Any, what: str) -> int:
    if type(value) is not int and type(value) is not bool:
        raise TemplateProblem("type", f"{what} needs an integer, not {name_of(value)}")
    return int(value)


def string(meter: Meter, value: Any) -> str:
    return value if isinstance(value, str) else text_of(meter, value)


def _method(meter: Meter, value: Any, name: str, *args: Any) -> Any:
    return METHODS[str][name](meter, plain(meter, value), *args)


def upper(meter: Meter, value: Any) -> Any:
    return _method(meter, value, "upper")


def lower(meter: Meter, value: Any) -> Any:
    return _method(meter, value, "lower")


def capitalize(meter: Meter, value: Any) -> Any:
    return _method(meter, value, "capitalize")


def trim(meter: Meter, value: Any, chars: Any = None) -> Any:
    return _method(meter, value, "strip", chars)


def center(meter: Meter, value: Any, width: Any = 80) -> Any:
    return _method(meter, value, "center", width)


def title(meter: Meter, value: Any) -> str:
    text = plain(meter, value)
    meter.produce(3 * len(text), text)
    meter.spend(10 * len(text))
    return "".join(part[0].upper() + part[1:].lower() for part in _WORD_START.split(text) if part)


def replace(meter: Meter, value: Any, old: Any, new: Any, count: Any = None) -> str:
    times = -1 if count is None else count
    return replace_in(meter, plain(meter, value), text_of(meter, old), text_of(meter, new), times)


def format_(meter: Meter, value: Any, *args: Any, **kwargs: Any) -> str:
    if args and kwargs:
        raise TemplateProblem("type", "format takes values or named values, not both")
    return percent(meter, plain(meter, value), kwargs or args)


def truncate(
    meter: Meter, value: Any, length: Any = 255, killwords: Any = False, end: Any = "...", leeway: Any = None
) -> str:
    """At most `length` characters (and `leeway`, 5 unless given), ending in `end` if something was cut."""
    text = plain(meter, value)
    tail = text_of(meter, end)
    size, room = integer(length, "truncate"), 5 if leeway is None else integer(leeway, "truncate")
    if size < len(tail) or room < 0:
        raise TemplateProblem(
            "other", f"truncate needs a length of at least {len(tail)} and no negative leeway"
        )
    if len(text) <= size + room:
        return text
    meter.produce(size + len(tail), text, tail)
    head = text[: size - len(tail)]
    return (head if killwords else head.rsplit(" ", 1)[0]) + tail


def indent(meter: Meter, value: Any, width: Any = 4, first: Any = False, blank: Any = False) -> str:
    """Each line but the first (unless `first`) and the empty ones (unless `blank`) moved to the right."""
    text = plain(meter, value)
    if isinstance(width, str):
        margin = str(width)
    else:
        meter.spend(max(0, integer(width, "indent")))
        margin = " " * width
    lines = METHODS[str]["splitlines"](meter, text + "\n")
    meter.produce(len(text) + (len(margin) + 1) * (len(lines) + 1), text, margin)
    if blank:
        result = ("\n" + margin).join(lines)
    else:
        result = "\n".join([lines[0], *(margin + line if line else line for line in lines[1:])])
    return margin + result if first else result


def wordcount(meter: Meter, value: Any) -> int:
    text = plain(meter, value)
    meter.spend(10 * len(text))
    return sum(1 for _ in _WORD.finditer(text))


def wordwrap(
    meter: Meter,
    value: Any,
    width: Any = 79,
    break_long_words: Any = True,
    wrapstring: Any = None,
    break_on_hyphens: Any = True,
) -> str:
    """Lines of at most `width` characters, each paragraph by itself."""
    text = plain(meter, value)
    most = integer(width, "wordwrap")
    if most <= 0:
        raise TemplateProblem("other", "wordwrap needs a width of at least 1")
    end = "\n" if wrapstring is None else text_of(meter, wrapstring)
    meter.produce(12 * len(text), text)
    chunks = _CHUNK if break_on_hyphens else _CHUNK_WHOLE
    lines = [
        line
        for paragraph in METHODS[str]["splitlines"](meter, text)
        for line in list(_wrapped(chunks.findall(paragraph), most, whole=not break_long_words)) or [""]
    ]
    meter.produce(len(text) + len(end) * len(lines), text, end)
    return end.join(lines)


def _wrapped(chunks: list[str], width: int, *, whole: bool) -> Iterator[str]:
    line = ""
    for chunk in chunks:
        if len(line) + len(chunk) <= width:
            line += chunk
            continue
        if line.strip():
            yield line.rstrip()
        line = "" if chunk.isspace() else chunk
        if len(line) > width and not whole:
            starts = range(0, len(line), width)
            yield from (line[start : start + width] for start in starts[:-1])
            line = line[starts[-1] :]
    if line.strip():
        yield line.rstrip()


def pprint(meter: Meter, value: Any) -> str:
    text = text_of(meter, value)
    if len(text) > _PPRINT:
        raise TemplateProblem("limit", f"pprint prints at most {_PPRINT} characters; use tojson_pretty")
    meter.spend(20 * len(text) + STEP)
    return pformat(value)
