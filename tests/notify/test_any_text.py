"""Whatever the texts are: what arrives is within the limits, in sound markup, and mentions nobody."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vendors import group

from tocsin.notify import markdown, slack_text, telegram_text, text
from tocsin.notify.message import Recipient
from tocsin.notify.msteams import SIZE_LIMIT, envelope

_MARKUP = """< > & &amp; &lt; <b> </b> <!channel> <@U123456> @all @here ``` [x](y) https://x/a?b=c | <!-- <![CDATA[
\\ * _ <pre> <code " é \U0001f525"""
PIECES = st.sampled_from([*_MARKUP.split(), "<a href='https://x/'>", "\n", "\x00", "\u2028", " "])
TEXTS = st.lists(PIECES | st.text(max_size=20), max_size=60).map("".join)
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine proves nothing."""
LIMITS = st.integers(min_value=100, max_value=600)
_TAG = re.compile(r'<(/?)([a-z-]+)(?: href="[^"<>]*")?>')


@given(TEXTS, LIMITS)
@patient
def test_telegram(given: str, limit: int) -> None:
    """Tags are known, nested and closed; ampersands belong to entities; what is seen is not too long."""
    said = telegram_text.rendered(given, limit)
    opened: list[str] = []
    for found in re.finditer(r"<[^>]*>?", said):
        tag = _TAG.fullmatch(found[0])
        assert tag is not None, found[0]
        if tag[1]:
            assert opened.pop() == tag[2]
        else:
            opened.append(tag[2])
    assert opened == []
    assert not re.search(r"&(?!(?:amp|lt|gt|quot|#x?[0-9a-f]+);)", said)
    seen = re.sub(r"<[^>]*>", "", said)
    seen = re.sub(r"&(?:amp|lt|gt|quot|#x?[0-9a-f]+);", "x", seen)
    assert text.utf16(seen) <= limit


@given(TEXTS, LIMITS)
@patient
def test_slack(given: str, limit: int) -> None:
    """Everything in angle brackets is a link or a date, nothing is cut within one, and it is not too long."""
    said = text.fit(slack_text.rendered(given), limit, atoms=slack_text.ATOMS)
    assert len(said) <= limit
    for found in re.finditer(r"<([^>]*)>?", said):
        assert found[0].endswith(">")
        assert re.match(r"https?://|mailto:|tel:|!date\^\d", found[1]), found[0]
    assert not re.search(r"&(?!(?:amp|lt|gt);)", said)
    assert not re.search(r"@(?:channel|here|everyone)", said)
    plain = slack_text.plain(given)
    assert "<" not in plain


@given(TEXTS)
@patient
def test_markdown(given: str) -> None:
    """Plain texts hold no link, tag or code of their own; no text mentions."""
    plain = markdown.plain(given)
    assert not re.search(r"(?<!\\)(?:\\\\)*[\[\]`<>*_|~#]", plain)
    for said in (plain, markdown.rendered(given)):
        assert not re.search(r"(?:^|[^\w.+-])@\w", said)


@given(TEXTS, TEXTS, st.lists(TEXTS, max_size=5))
@settings(patient, max_examples=50)
def test_teams(title: str, body: str, errors: list[str]) -> None:
    """A card is never larger than Teams takes."""
    message: Any = group(title=title * 9, text=body * 40, errors=tuple(errors), labels=(("k", body),))
    assert (
        len(json.dumps(envelope(message, Recipient()), ensure_ascii=False).encode("utf-8", "replace"))
        <= SIZE_LIMIT
    )


@given(TEXTS, st.integers(min_value=-5, max_value=200))
@patient
def test_cuts(given: str, limit: int) -> None:
    """Whatever the limit and the measure, a text that fits is left alone and every other one ends up within it."""
    for size in (len, text.utf16, lambda one: len(one.encode("utf-8", "replace"))):
        said = text.fit(given, limit, size=size)
        assert said == given if size(given) <= limit else size(said) <= max(limit, 0)
