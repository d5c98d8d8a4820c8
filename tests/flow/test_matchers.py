"""Label matchers and the JSON text that regexes search."""

from __future__ import annotations

import json

import pytest
from flows import matcher
from hypothesis import given
from hypothesis import strategies as st

from tocsin.flow.matchers import (
    REGEX_TEXT_LIMIT,
    InvalidRegex,
    LabelMatchers,
    PayloadText,
    alternatives,
    compile_regex,
    json_text,
)

values = st.text(alphabet=st.sampled_from("ab.|*\n -é"), max_size=8)
patterns = st.one_of(
    st.sampled_from(
        ["a|b", "a.*", ".*", ".+", "a", "", "a|", "|", "é|a", "a-b.*", "[ab]+", "(?i)A", "a.c", "a$", "^a"]
    ),
    st.text(alphabet=st.sampled_from("ab|.*- "), max_size=6),
)


@given(patterns, values)
def test_shortcuts_mean_what_the_regex_means(pattern: str, value: str) -> None:
    """Sets of literals and prefixes skip the engine; nobody can tell."""
    try:
        compiled = compile_regex(pattern)
    except InvalidRegex:
        return
    expected = compiled.fullmatch(value.encode()) is not None
    assert LabelMatchers((matcher(f"k=~{pattern}"),)).hold({"k": value}) == expected
    assert LabelMatchers((matcher(f"k!~{pattern}"),)).hold({"k": value}) != expected
    texts = alternatives(pattern)
    if texts is not None:
        assert (value in texts) == expected


def test_anchoring() -> None:
    """At both ends, also around an alternation; no line break slips past the end."""
    anchored = LabelMatchers((matcher("k=~a|bc"),))
    assert [anchored.hold({"k": value}) for value in ("a", "bc", "xa", "ax", "abc", "a\n")] == [
        True,
        True,
    ] + [False] * 4


@pytest.mark.parametrize("pattern", ["[", "(", "a{2,1}", "(?<=x)", r"\1", "a" * 3 + "{1001}"])
def test_what_re2_refuses(pattern: str) -> None:
    """Told in words; nothing is printed to standard error."""
    with pytest.raises(InvalidRegex, match=r"\w"):
        compile_regex(pattern)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(json_values, st.integers(0, 60))
def test_the_text_is_plain_json(value: object, limit: int) -> None:
    """Written piece by piece, it equals what Python's own writer gives, up to the limit."""
    whole = json.dumps(value, ensure_ascii=False)
    assert json_text(value, 10**9) == whole
    assert json_text(value, limit) == whole[:limit]


def test_the_text_is_built_once_and_bounded() -> None:
    """However many regexes ask; a huge body is searched in its first million characters."""
    text = PayloadText({"a": ["x" * 100] * 50_000})
    assert text.text() is text.text()
    assert len(text.text()) == REGEX_TEXT_LIMIT


def test_lone_surrogates_do_not_break_the_search() -> None:
    """They are replaced."""
    assert b"x?y" in PayloadText({"a": "x\ud800y"}).text()
    assert LabelMatchers((matcher("k=~x[?]y"),)).hold({"k": "x\ud800y"})


def test_traces_show_each_matcher() -> None:
    """Also behind the first that does not hold."""
    pair = LabelMatchers((matcher("a=1"), matcher("b!=2")))
    assert [(value, holds) for _, value, holds in pair.each({"b": "3"})] == [("", False), ("3", True)]
