"""Title, message and image per channel: which template counts, and what it sees."""

from __future__ import annotations

from typing import Any

import pytest
from flows import NOW, flow_of, text

from tocsin.api.common import Appearance, Identity, RichAppearance, Templates, TitleAppearance
from tocsin.flow.appearance import CHANNELS, View
from tocsin.flow.model import IntegrationFragment
from tocsin.flow.program import IntegrationProgram, link
from tocsin.sources.model import SourceType

TYPE = SourceType(
    slug="t",
    title="T",
    description="",
    fallback_title="An alert",
    defaults=Templates(
        appearance=Appearance(
            web=RichAppearance(
                title="web {{ payload.name }}",
                message="m {{ payload.name }}",
                image_url="{{ payload.image }}",
            ),
            phone=TitleAppearance(title="phone {{ payload.name }}"),
        )
    ),
)
BARE = SourceType(slug="b", title="B", description="", fallback_title="Bare alert")


def styled(templates: dict[str, str] | None = None, *, slug: str = "t") -> IntegrationProgram:
    fragment = IntegrationFragment(
        namespace="ns",
        name="it",
        type=slug,
        title="Shop",
        templates={f"appearance.{slot}": text(template) for slot, template in (templates or {}).items()},
    )
    return link(flow_of(fragment), types={"t": TYPE, "b": BARE}).integrations[
        Identity("Integration", "ns", "it")
    ]


def shown(channel: str, templates: dict[str, str] | None = None, *, slug: str = "t", **view: Any):
    fields = {"payload": {"name": "disk"}, "now": NOW, "source_link": "https://x/", "title": "decided"} | view
    return styled(templates, slug=slug).appearance(channel, View(**fields))


def test_own_template_then_default() -> None:
    """An empty string counts as not set."""
    assert shown("web", {"web.title": "own"}).title == "own"
    assert shown("web", {"web.title": ""}).title == "web disk"
    assert shown("web").message == "m disk"


@pytest.mark.parametrize("channel", [channel for channel in CHANNELS if channel not in ("web", "phone")])
def test_other_channels_fall_back_to_the_default_of_the_web(channel: str) -> None:
    """To the type's, not to the integration's own web template."""
    assert shown(channel, {"web.title": "own"}).title == "web disk"
    assert shown(channel, {f"{channel}.title": "mine"}).title == "mine"


def test_a_channel_with_a_default_of_its_own() -> None:
    """Customising the web leaves it alone."""
    assert shown("phone", {"web.title": "own"}).title == "phone disk"


def test_without_any_template() -> None:
    """The title decided with the alert, then the type's fixed one; nothing where there is no message or image."""
    bare = shown("slack", slug="b")
    assert (bare.title, bare.message, bare.image_url) == ("decided", "", "")
    assert shown("slack", slug="b", title="").title == "Bare alert"


@pytest.mark.parametrize("result", ["", " \n", "None", "{{ none }}"])
def test_none_means_that_there_is_none(result: str) -> None:
    """An attribute that renders to None is absent."""
    looks = shown("web", {"web.title": result, "web.message": result}, slug="b")
    assert (looks.title, looks.message) == ("decided", "")


def test_what_templates_see() -> None:
    """The link, the name and what the caller adds; channels other than web also what the web shows."""
    extra = {"grafana_oncall_link": "https://tocsin/g/1", "grafana_oncall_alert_group_id": 7}
    title = "{{ source_link }} {{ integration_name }} {{ grafana_oncall_link }} {{ grafana_oncall_alert_group_id }}"
    assert shown("web", {"web.title": title}, extra=extra).title == "https://x/ Shop https://tocsin/g/1 7"
    web = "[{{ web_title }}|{{ web_message }}|{{ web_image_url }}]"
    assert shown("slack", {"slack.title": web}).title == "[web disk|m disk|not set]"
    assert shown("web", {"web.message": web}).message == "[||]"


def test_a_failed_template_never_shows_its_error() -> None:
    """The type's text is shown, the failure is told beside it."""
    looks = shown("web", {"web.title": "{{ unclosed", "web.message": "{{ payload.name / 0 }}"})
    assert (looks.title, looks.message) == ("web disk", "m disk")
    assert [error.slot for error in looks.errors] == ["appearance.web.title", "appearance.web.message"]
    bare = shown("web", {"web.title": "{{ 1 / 0 }}", "web.message": "{{ 1 / 0 }}"}, slug="b")
    assert (bare.title, bare.message) == ("decided", "")


@pytest.mark.parametrize(
    ("image", "kept"),
    [
        ("https://x/a.png", True),
        (" https://x/a.png\n", True),
        ("javascript:alert(1)", False),
        ("https://", False),
        ("https://[", False),
        (5, False),
    ],
)
def test_an_image_is_a_web_url_or_none(image: Any, kept: bool) -> None:
    """Whatever the payload says."""
    assert bool(shown("web", payload={"name": "n", "image": image}).image_url) == kept


def test_values_are_escaped_for_telegram() -> None:
    """Templates may write HTML, values cannot.

    Rules: R-TPL-27
    """
    payload = {"name": "<b>&", "list": ["<i>"], "n": 5}
    looks = shown(
        "telegram",
        {"telegram.message": "<u>{{ payload.name }}</u>{{ payload.list[0] }}{{ payload.n }}"},
        payload=payload,
    )
    assert looks.message == "<u>&lt;b&gt;&amp;</u>&lt;i&gt;5"
    assert payload["name"] == "<b>&"
    assert shown("web", payload=payload).title == "web <b>&"


def test_a_payload_too_deep_for_telegram() -> None:
    """Nothing of it is shown unescaped."""
    deep: Any = {"name": "<b>"}
    for _ in range(5000):
        deep = {"name": "<b>", "x": deep}
    assert shown("telegram", payload=deep).title == "web"


def test_push_texts_are_short() -> None:
    """200 characters and three dots; unset, they are the web's.

    Rules: R-TPL-30
    """
    looks = shown("push", payload={"name": "x" * 300})
    assert looks.title == "web " + "x" * 196 + "..."
    assert looks.message == "m " + "x" * 198 + "..."
    assert shown("push").title == "web disk"


@pytest.mark.parametrize("channel", list(CHANNELS))
def test_titles_are_one_line_of_at_most_500(channel: str) -> None:
    """In every channel but the web, which keeps line breaks."""
    looks = shown(channel, {f"{channel}.title": "a\n{{ payload.name }}"}, payload={"name": "b" * 600})
    assert len(looks.title) <= 500
    assert ("\n" in looks.title) == (channel == "web")


def test_a_heartbeat_brings_its_own_texts() -> None:
    """The integration's templates know nothing of its payload."""
    payload = {"title": "Heartbeat of ns/it is missing", "message": "since noon"}
    looks = shown("slack", {"slack.title": "{{ payload.name / 0 }}"}, payload=payload, heartbeat=True)
    assert (looks.title, looks.message, looks.errors) == ("Heartbeat of ns/it is missing", "since noon", ())
