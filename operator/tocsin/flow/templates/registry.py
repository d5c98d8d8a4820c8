"""What templates can call: every filter and test by name. There is no `random` and no `lipsum`: results are repeatable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tocsin.flow.templates import (
    escaping,
    filters_data,
    filters_sequence,
    filters_text,
    regex,
)
from tocsin.flow.templates.filters_apply import applying
from tocsin.flow.templates.meter import Meter
from tocsin.flow.templates.tests import TESTS as PLAIN_TESTS
from tocsin.flow.templates.text import text_of

FILTERS: dict[str, Callable[..., Any]] = {
    "abs": filters_data.abs_,
    "attr": filters_data.attr,
    "b64decode": filters_data.b64decode,
    "batch": filters_sequence.batch,
    "capitalize": filters_text.capitalize,
    "center": filters_text.center,
    "count": filters_sequence.length,
    "d": filters_data.default,
    "datetimeformat": filters_data.datetimeformat,
    "datetimeformat_as_timezone": filters_data.datetimeformat_as_timezone,
    "datetimeparse": filters_data.datetimeparse,
    "default": filters_data.default,
    "dictsort": filters_sequence.dictsort,
    "e": escaping.escape,
    "escape": escaping.escape,
    "filesizeformat": filters_data.filesizeformat,
    "first": filters_sequence.first,
    "float": filters_data.float_,
    "forceescape": escaping.force_escape,
    "format": filters_text.format_,
    "from_json": filters_data.parse_json,
    "groupby": filters_sequence.groupby,
    "indent": filters_text.indent,
    "int": filters_data.int_,
    "iso8601_to_time": filters_data.iso8601_to_time,
    "items": filters_sequence.items,
    "join": filters_sequence.join,
    "json_dumps": filters_data.json_dumps,
    "last": filters_sequence.last,
    "length": filters_sequence.length,
    "list": filters_sequence.list_,
    "lower": filters_text.lower,
    "max": filters_sequence.max_,
    "min": filters_sequence.min_,
    "parse_json": filters_data.parse_json,
    "pprint": filters_text.pprint,
    "regex_match": regex.regex_match,
    "regex_replace": regex.regex_replace,
    "regex_search": regex.regex_search,
    "replace": filters_text.replace,
    "reverse": filters_sequence.reverse,
    "round": filters_data.round_,
    "safe": escaping.safe,
    "slice": filters_sequence.slice_,
    "sort": filters_sequence.sort,
    "string": text_of,
    "striptags": escaping.strip_tags,
    "sum": filters_sequence.sum_,
    "timedeltaparse": filters_data.timedeltaparse,
    "timestamp_to_datetime": filters_data.timestamp_to_datetime,
    "title": filters_text.title,
    "tojson": filters_data.tojson,
    "tojson_pretty": filters_data.tojson_pretty,
    "trim": filters_text.trim,
    "truncate": filters_text.truncate,
    "unique": filters_sequence.unique,
    "upper": filters_text.upper,
    "urlencode": escaping.urlencode,
    "urlize": escaping.urlize,
    "wordcount": filters_text.wordcount,
    "wordwrap": filters_text.wordwrap,
    "xmlattr": escaping.xmlattr,
}


def _is_filter(_: Meter, name: Any) -> bool:
    return isinstance(name, str) and name in FILTERS


def _is_test(_: Meter, name: Any) -> bool:
    return isinstance(name, str) and name in TESTS


TESTS: dict[str, Callable[..., bool]] = {**PLAIN_TESTS, "filter": _is_filter, "test": _is_test}

FILTERS.update(applying(FILTERS, TESTS))
