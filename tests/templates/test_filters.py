"""The filters that OnCall adds to Jinja2's (alert-flow section 6.6), and what they make of nonsense."""

from __future__ import annotations

from typing import Any

import pytest

ODD = [None, 5, 1.5, True, [], {}, "", "nonsense", "\x00", "9" * 400]


@pytest.mark.parametrize(
    ("text", "value", "result"),
    [
        ("tojson_pretty", {"b": "é", "a": [1]}, '{\n    "a": [\n        1\n    ],\n    "b": "é"\n}'),
        ("json_dumps", {"b": "é", "a": 10**30}, '{"b": "\\u00e9", "a": 1000000000000000000000000000000}'),
        (
            "tojson",
            {"b": "<'&>é", "a": 10**30},
            '{"a": 1000000000000000000000000000000, "b": "\\u003c\\u0027\\u0026\\u003e\\u00e9"}',
        ),
        ("parse_json", '{"a": [1, null]}', "{'a': [1, None]}"),
        ("from_json", "5", "5"),
        ("b64decode", "aMOp", "hé"),
        ("b64decode", "aM\nOp\n", "hé"),
        ("iso8601_to_time", "2026-01-02T03:04:05Z", "2026-01-02 03:04:05+00:00"),
        ("iso8601_to_time", "2026-01-02T03:04:05.123456789+02:00", "2026-01-02 03:04:05.123456+02:00"),
        ("iso8601_to_time", "2026-01-02T03:04:05", "2026-01-02 03:04:05"),
        ("datetimeparse", "03:04 / 02-01-2026", "2026-01-02 03:04:00"),
        ("datetimeparse('%Y-%m-%d')", "2026-01-02", "2026-01-02 00:00:00"),
        ("datetimeparse('%d %b')", "29 Feb", "None"),
        ("datetimeparse('%d %b')", "28 Feb", "1900-02-28 00:00:00"),
        ("iso8601_to_time | datetimeformat", "2026-01-02T03:04:05Z", "03:04 / 02-01-2026"),
        ("iso8601_to_time | datetimeformat('%-d. %B')", "2026-01-02T03:04:05Z", "2. January"),
        (
            "iso8601_to_time | datetimeformat_as_timezone('%H:%M %Z', 'Europe/Berlin')",
            "2026-07-02T03:04:05Z",
            "05:04 CEST",
        ),
        ("iso8601_to_time | datetimeformat_as_timezone('%H:%M')", "2026-07-02T03:04:05+02:00", "01:04"),
        ("timestamp_to_datetime", 1767225600, "2026-01-01 00:00:00+00:00"),
        ("timestamp_to_datetime", "1767225600.5", "2026-01-01 00:00:00.500000+00:00"),
        ("timedeltaparse", "-5m", "-1 day, 23:55:00"),
        ("timedeltaparse", "2w", "14 days, 0:00:00"),
        ("timedeltaparse", "+90s", "0:01:30"),
        ("timedeltaparse", "1M", "None"),
        ("timedeltaparse", "1y", "None"),
        ("timedeltaparse", "1Q", "None"),
        ("timedeltaparse", "1 d", "None"),
        ("regex_match('a+b')", "aab-", "True"),
        ("regex_match('b')", "aab-", "False"),
        ("regex_search('b')", "aab-", "True"),
        ("regex_search('(?i)B$')", "aab", "True"),
        ("regex_replace('(\\\\d+)-(?P<x>\\\\d+)', '\\\\g<x>/\\\\1')", "12-34 5-6", "34/12 6/5"),
        ("regex_replace('é', 'e')", "éé", "ee"),
        ("regex_replace('', '-')", "ab", "-a-b-"),
        ("regex_replace('x(y)?', '[\\\\1]')", "x", "[]"),
    ],
)
def test_what_they_give(render, text: str, value: Any, result: str) -> None:
    """Values as in the table of the specification."""
    assert render(f"{{{{ payload.v | {text} }}}}", {"v": value}) == result


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize(
    "name",
    [
        "parse_json",
        "b64decode",
        "iso8601_to_time",
        "datetimeparse",
        "datetimeformat",
        "datetimeformat_as_timezone",
        "timestamp_to_datetime",
        "timedeltaparse",
        "regex_match('a')",
        "regex_search('a')",
        "regex_replace('a', 'b')",
    ],
)
def test_nonsense_gives_none_or_a_value_never_an_exception(render, name: str, value: Any) -> None:
    """They return null on what they cannot handle; no exception of Python comes through."""
    render(f"{{{{ payload.v | {name} }}}}", {"v": value})
    assert render(f"{{{{ payload.v | {name} is none }}}}", {"v": {"no": "thing"}}) == "True"


def test_what_is_no_json_gives_none(render, problem) -> None:
    """But for `tojson`, which is Jinja2's own and fails."""
    assert render("{{ time() | tojson_pretty }} {{ [time()] | json_dumps }}", {}) == "None None"
    assert problem("{{ time() | tojson }}", {}).kind == "type"


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo", "UTC"])
@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00"]
)
def test_times_at_the_edge_of_the_calendar(render, text: str, zone: str) -> None:
    """BUG-080: Go's zero time in a western zone gives an empty text, not an exception through the receiver."""
    template = (
        f"{{{{ payload.endsAt | iso8601_to_time | datetimeformat_as_timezone('%Y-%m-%d', '{zone}') }}}}"
    )
    assert render(template, {"endsAt": text})[-5:] in {"", "01-01", "12-31"}
    assert render(template.replace("UTC", "America/New_York"), {"endsAt": "0001-01-01T00:00:00Z"}) in {
        "",
        "1-01-01",
        "0001-01-01",
    }
    assert render("{{ payload.t | timestamp_to_datetime }}", {"t": 10**18}) == "None"


def test_unknown_zone_is_a_problem(problem) -> None:
    """It says what a zone looks like; files outside the database are none."""
    for zone in ("Mars/Base", "../../etc/passwd", "", "EST5EDT6"):
        found = problem(f"{{{{ time() | datetimeformat_as_timezone('%H', '{zone}') }}}}", {})
        assert found.kind == "other"
        assert "Europe/Berlin" in found.message


def test_server_zone_has_no_influence(render, monkeypatch) -> None:
    """A pod's TZ changes nothing: timestamps are UTC, naive times count as UTC."""
    for zone in ("Asia/Tokyo", "America/New_York"):
        monkeypatch.setenv("TZ", zone)
        assert render("{{ 0 | timestamp_to_datetime }}", {}) == "1970-01-01 00:00:00+00:00"
        text = "{{ '2026-01-02T03:04:05' | iso8601_to_time | datetimeformat_as_timezone('%H:%M', 'UTC') }}"
        assert render(text, {}) == "03:04"
        assert render("{{ ('1970-01-01T00:00:10' | iso8601_to_time).timestamp() }}", {}) == "10.0"


@pytest.mark.parametrize("pattern", ["(", "(?=a)", "a{2000}", "\\\\1", "[z-a]"])
def test_invalid_pattern_is_a_problem_whatever_the_value(problem, pattern: str) -> None:
    """Not null: the mistake is the template's, and it names RE2."""
    for filter_ in ("regex_match", "regex_search"):
        found = problem(f"{{{{ payload.v | {filter_}('{pattern}') }}}}", {"v": 5})
        assert found.kind == "other"
        assert "RE2" in found.message


def test_replacement_names_a_group_that_is_not_there(problem) -> None:
    """A problem, not a crash."""
    assert problem("{{ 'a' | regex_replace('a', '\\\\1') }}", {}).kind == "other"
    assert problem("{{ 'a' | regex_replace('a', '\\\\g<x>') }}", {}).kind == "other"


@pytest.mark.parametrize("name", ["random", "lipsum", "do_upper", "#turns", "eval"])
def test_what_is_not_repeatable_is_not_there(problem, name: str) -> None:
    """No random filter, no lipsum; unknown names are found at parse time, dynamic ones when used."""
    assert problem(f"{{{{ [1] | map('{name}') }}}}", {}).kind == "other"
    if name.isidentifier():
        assert problem(f"{{{{ [1] | {name} }}}}", {}).kind == "syntax"
        assert problem(f"{{{{ {name}() }}}}", {}).kind == "undefined"
