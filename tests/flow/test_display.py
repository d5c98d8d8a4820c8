"""Title and source link: what people see of an alert, whatever its templates do."""

from __future__ import annotations

import pytest
from flows import NOW, flow_of, program, text
from hypothesis import given
from hypothesis import strategies as st

from tocsin.api.common import Appearance, Identity, RichAppearance, Templates
from tocsin.flow.evaluator import NOT_A_LINK
from tocsin.flow.model import IntegrationFragment
from tocsin.flow.program import link
from tocsin.sources.model import SourceType

TITLE = "appearance.web.title"


def titled(template, payload=None, **fields):
    return program(templates={TITLE: template}, **fields).evaluate(payload or {}, NOW)


def linked(template, payload=None):
    return program(templates={"sourceLink": template}).evaluate(payload or {}, NOW)


def typed_title(default: str, own: str):
    source = SourceType(
        slug="t",
        title="T",
        description="",
        fallback_title="An alert",
        defaults=Templates(appearance=Appearance(web=RichAppearance(title=default))),
    )
    fragment = IntegrationFragment(namespace="ns", name="it", type="t", templates={TITLE: text(own)})
    return link(flow_of(fragment), types={"t": source}).integrations[Identity("Integration", "ns", "it")]


@pytest.mark.parametrize(
    "own", ["{{ unclosed", "{{ payload.x / 0 }}", "{{ payload.missing }}", " \n", "{{ none }}"]
)
def test_a_failed_or_empty_title(own: str) -> None:
    """The type's default title, then the type's fixed one: never an error text, never nothing."""
    payload = {"x": 1, "name": "disk"}
    with_default = typed_title("{{ payload.name }}", own).evaluate(payload, NOW)
    assert with_default.title == with_default.outcome.title == "disk"
    assert typed_title("{{ payload.x / 0 }}", own).evaluate(payload, NOW).title == "An alert"
    failed = own.startswith("{{") and "missing" not in own and "none" not in own
    assert [error.slot for error in with_default.outcome.errors] == ([TITLE] if failed else [])


def test_without_any_title() -> None:
    """The type's fixed text."""
    assert program().evaluate({}, NOW).title == "Bare alert"


def test_a_long_title_is_cut() -> None:
    """At 500 characters, two dots included."""
    decision = titled("{{ payload.x }}", {"x": "y" * 600})
    assert decision.title == "y" * 498 + ".."


def test_bug_045_template_text_in_a_payload_is_literal() -> None:
    """One pass only, also where the title shows the link."""
    payload = {"user": "{{7*7}}", "raw": "{% raw %} {#", "link": "https://x/{{ payload }}"}
    decision = program(
        templates={
            TITLE: "{{ payload.user }} {{ payload.raw }} {{ source_link }}",
            "sourceLink": "{{ payload.link }}",
        }
    ).evaluate(payload, NOW)
    assert decision.title == "{{7*7}} {% raw %} {# https://x/{{%20payload%20}}"


def test_the_title_may_use_link_and_name() -> None:
    """The link is rendered first; so a title in a list shows the same as on the page of the alert group."""
    decision = program(
        templates={TITLE: "{{ integration_name }}: {{ source_link }}", "sourceLink": "https://x/"},
        title="Shop",
    ).evaluate({}, NOW)
    assert decision.title == "Shop: https://x/"


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ("https://example.com/a?b=c#d", "https://example.com/a?b=c#d"),
        ("HTTP://example.com", "HTTP://example.com"),
        (" https://example.com \n", "https://example.com"),
        ("https://example.com/a b", "https://example.com/a%20b"),
        ("https://example.com/\nx", ""),
        ("javascript:alert(1)", ""),
        ("JaVaScRiPt:alert(1)", ""),
        ("data:text/html,x", ""),
        ("/relative", ""),
        ("example.com", ""),
        ("https://example.com/" + "x" * 2000, ""),
    ],
)
def test_only_web_links_are_links(result: str, expected: str) -> None:
    """Anything else is left out, and the alert says so."""
    decision = linked("{{ payload.x }}", {"x": result})
    assert decision.source_link == decision.outcome.source_link == expected
    assert decision.outcome.notes == (() if expected else (NOT_A_LINK,))


@pytest.mark.parametrize("template", ["{{ payload.missing }}", "{{ none }}", ""])
def test_no_link(template: str) -> None:
    """Empty and None are no link and no mistake."""
    decision = linked(template)
    assert decision.source_link == ""
    assert NOT_A_LINK not in decision.outcome.notes


def test_a_failed_link_is_empty() -> None:
    """Never the text of the error; the title sees an empty link."""
    decision = program(
        templates={"sourceLink": "{{ payload.alerts[0].url / 0 }}", TITLE: "[{{ source_link }}]"}
    ).evaluate({"alerts": [{"url": 1}]}, NOW)
    assert (decision.source_link, decision.title) == ("", "[]")
    assert [error.slot for error in decision.outcome.errors] == ["sourceLink"]


@given(st.text(max_size=700))
def test_any_text_gives_a_title(value: str) -> None:
    """Never empty, never longer than 500, always storable."""
    title = titled("{{ payload.x }}", {"x": value}).title
    assert title
    assert len(title) <= 500
    assert "\0" not in title
    title.encode()
