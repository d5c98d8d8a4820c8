"""What values of alerts may not be in the markup of chats."""

from __future__ import annotations

import pytest
from flows import NOW, flow_of, text

from tocsin.api.common import Identity
from tocsin.flow.appearance import Appearance, View
from tocsin.flow.markup import harmless
from tocsin.flow.model import IntegrationFragment
from tocsin.flow.program import link
from tocsin.sources.model import SourceType

BARE = SourceType(slug="b", title="B", description="", fallback_title="Bare alert")


def shown(channel: str, message: str, payload: object, **view: object) -> Appearance:
    fragment = IntegrationFragment(
        namespace="ns",
        name="it",
        type="b",
        title="Shop",
        templates={f"appearance.{channel}.message": text(message)},
    )
    program = link(flow_of(fragment), types={"b": BARE}).integrations[Identity("Integration", "ns", "it")]
    return program.appearance(channel, View(payload=payload, now=NOW, **view))


def test_values_are_no_slack_markup() -> None:
    """A template may link and mention; a value, a key or a label that looks like it is shown as it is written."""
    payload = {"name": "<!channel> & <https://evil|https://bank>", "<@U1>": "x"}
    looks = shown(
        "slack",
        "<https://run|book> {{ payload.name }} {% for key in payload %}{{ key }} {% endfor %}{{ labels.team }}",
        payload,
        labels={"team": "<!here>"},
        title="a < b",
    )
    assert looks.message == (
        "<https://run|book> &lt;!channel&gt; &amp; &lt;https://evil|https://bank&gt; name &lt;@U1&gt; &lt;!here&gt;"
    )
    assert looks.title == "a &lt; b"


@pytest.mark.parametrize("channel", ["mattermost", "discord", "msteams"])
def test_values_are_no_disguised_links_in_markdown(channel: str) -> None:
    """Inline links, references, images, bracketed addresses and mentions of a value come apart; brackets stay brackets."""
    looks = shown(
        channel,
        "[run]({{ payload.url }}) {{ payload.name }}",
        {
            "url": "https://x/",
            "name": "[FIRING:1] [bank](https://evil) ![](https://e) [a][b] @all a@b.example",
        },
    )
    gap = "\u200b"
    assert looks.message == (
        f"[run](https://x/) [FIRING:1] [bank]{gap}(https://evil) ![]{gap}(https://e) [a]{gap}[b] @{gap}all a@b.example"
    )


def test_values_are_no_disguised_links_in_mails() -> None:
    """A link that shows another place than it leads to is a template's or none; mails mention nobody, `@` stays."""
    looks = shown(
        "email",
        "[run]({{ payload.url }}) {{ payload.name }}",
        {"url": "https://x/", "name": "[https://bank](https://evil) [a][b] @all <b>a</b>"},
    )
    gap = "\u200b"
    assert looks.message == f"[run](https://x/) [https://bank]{gap}(https://evil) [a]{gap}[b] @all <b>a</b>"


def test_what_the_web_shows_is_as_harmless_inside_other_channels() -> None:
    """`web_title` in a template for Telegram holds values of the payload, too."""
    looks = shown("telegram", "<b>{{ web_title }}</b>", {}, title="<i>decided</i>")
    assert looks.message == "<b>&lt;i&gt;decided&lt;/i&gt;</b>"


def test_other_channels_see_values_as_they_are() -> None:
    """What has no markup, or is escaped as a whole afterwards, needs no escapes inside."""
    value = {"a": ["<b>", 5, None, True]}
    assert harmless("sms", value) is value
    assert harmless("telegram", value) == {"a": ["&lt;b&gt;", 5, None, True]}
