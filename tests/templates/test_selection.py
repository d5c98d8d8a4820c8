"""Which template counts for a slot, and what each sees: the engine's part of the rules, through the evaluator."""

from __future__ import annotations

from typing import Any

import pytest

from tocsin.api.common import Appearance, Identity, RichAppearance, Templates, TitleAppearance
from tocsin.flow.appearance import View
from tocsin.flow.model import (
    AnyFragment,
    Flow,
    IntegrationFragment,
    LabelRuleFragment,
    Micros,
    RouteFragment,
    TemplateText,
    digest_of,
    encode_fragment,
)
from tocsin.flow.program import IntegrationProgram, link
from tocsin.sources.model import SourceType

NOW = Micros(0)
TYPE = SourceType(
    slug="t",
    title="T",
    description="",
    fallback_title="An alert",
    defaults=Templates(
        grouping_id="default {{ payload.id }}",
        appearance=Appearance(
            web=RichAppearance(title="web default", message="message default"),
            sms=TitleAppearance(title="sms default"),
        ),
    ),
)


def program(templates: dict[str, str], *others: AnyFragment) -> IntegrationProgram:
    fragment = IntegrationFragment(
        namespace="n",
        name="i",
        type="t",
        title="Shop",
        templates={slot: TemplateText(text=text) for slot, text in templates.items()},
        routes=tuple(f"n/{other.name}" for other in others if isinstance(other, RouteFragment)),
        label_rules=tuple(f"n/{other.name}" for other in others if isinstance(other, LabelRuleFragment)),
    )
    parts = [fragment, *others]
    digests = {part.identity: digest_of(encode_fragment(part)) for part in parts}
    flow = Flow(
        manifest=digests,
        fragments={digests[part.identity]: part for part in parts},
        digest=digest_of(repr(sorted(digests.values())).encode()),
    )
    return link(flow, types={"t": TYPE}).integrations[Identity("Integration", "n", "i")]


def shown(channel: str, templates: dict[str, str], **view: Any):
    return program(templates).appearance(channel, View(payload={"id": 1}, now=NOW, title="decided", **view))


@pytest.mark.parametrize(
    ("own", "counts"), [("own {{ payload.id }}", "own 1"), ("", "default 1"), (None, "default 1")]
)
def test_own_template_else_the_default(own: str | None, counts: str) -> None:
    """An empty string counts as not set.

    Rules: R-TPL-3
    """
    templates = {} if own is None else {"groupingId": own}
    assert program(templates).evaluate({"id": 1}, NOW).grouping_id == counts


@pytest.mark.parametrize("channel", ["email", "push", "msteams", "mattermost", "discord"])
def test_added_channels_fall_back_to_the_web_default(channel: str) -> None:
    """To the type's, not to the integration's own.

    Rules: R-TPL-4
    """
    assert shown(channel, {"appearance.web.title": "own"}).title == "web default"
    assert shown(channel, {f"appearance.{channel}.title": "mine"}).title == "mine"


def test_a_channel_with_its_own_default_ignores_the_web() -> None:
    """Customising the web title leaves the SMS as it was.

    Rules: R-TPL-5
    """
    assert shown("sms", {"appearance.web.title": "own"}).title == "sms default"
    assert shown("sms", {"appearance.sms.title": "mine"}).title == "mine"


@pytest.mark.parametrize("text", ["https://x/{{ payload.id }}", "None", "{{ none }}", "{{ payload.nope }}"])
def test_source_link_comes_first(text: str) -> None:
    """The title can use it; rendered to None there is none.

    Rules: R-TPL-17
    """
    decision = program({"sourceLink": text, "appearance.web.title": "<{{ source_link }}>"}).evaluate(
        {"id": 1}, NOW
    )
    expected = "https://x/1" if text.startswith("https") else ""
    assert decision.source_link == expected
    assert decision.title == f"<{expected}>"


@pytest.mark.parametrize("text", ["None", "{{ none }}", "{{ payload.id if false else none }}"])
def test_an_attribute_that_renders_to_none_is_none(text: str) -> None:
    """For every attribute of every channel.

    Rules: R-TPL-18
    """
    looks = shown("slack", {f"appearance.slack.{part}": text for part in ("title", "message", "imageUrl")})
    assert (looks.title, looks.message, looks.image_url) == ("decided", "", "")


def test_source_link_is_for_appearance_only() -> None:
    """Routes and labels are decided before it and do not see it.

    Rules: R-TPL-19
    """
    seen = TemplateText(text="[{{ source_link }}]")
    decision = program(
        {"sourceLink": "https://x/", "appearance.web.title": "{{ source_link }}"},
        RouteFragment(namespace="n", name="r", template=TemplateText(text="{{ source_link is defined }}")),
        LabelRuleFragment(namespace="n", name="l", dynamic=(("seen", seen),)),
    ).evaluate({"id": 1}, NOW)
    assert decision.title == "https://x/"
    assert decision.route == "default"
    assert decision.labels == {"seen": "[]"}
