"""How an alert looks in one channel: title, message and image, before the channel's own markup.

Which template counts (alert-flow 6.2): the integration's own, if not empty; else the type's for this channel; else
the type's for the web. A channel that has none gets a substitute. Everything here reads the redacted payload.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from tocsin.flow.decision import TemplateError
from tocsin.flow.evaluator import NOTHING, TITLE_LIMIT
from tocsin.flow.markup import harmless
from tocsin.flow.model import Micros
from tocsin.flow.outcome import shortened
from tocsin.flow.rendering import Prepared, failure_of, render_text
from tocsin.flow.templates import TemplateProblem, Variables

if TYPE_CHECKING:
    from tocsin.flow.program import IntegrationProgram

CHANNELS: Mapping[str, tuple[str, ...]] = {
    "web": ("title", "message", "imageUrl"),
    "slack": ("title", "message", "imageUrl"),
    "telegram": ("title", "message", "imageUrl"),
    "msteams": ("title", "message", "imageUrl"),
    "mattermost": ("title", "message", "imageUrl"),
    "discord": ("title", "message", "imageUrl"),
    "email": ("title", "message"),
    "push": ("title", "message"),
    "sms": ("title",),
    "phone": ("title",),
}
"""What each channel can show."""

PUSH_LIMIT = 200
NOT_SET = "not set"
"""What `web_title` and the like hold where the web has no such template (alert-flow R-TPL-20)."""


class View(msgspec.Struct, frozen=True, kw_only=True):
    """The alert to show. `payload` is the stored (redacted) one, `labels` the group's, `source_link` as decided.

    `title` is the one decided with the alert: shown where the templates give none. `extra` are further names for
    templates (`grafana_oncall_link`, `grafana_oncall_alert_group_id`). `heartbeat`: the payload is of a heartbeat
    alert, which brings its own texts.
    """

    payload: Any
    now: Micros
    labels: Mapping[str, str] = {}
    source_link: str = ""
    title: str = ""
    extra: Mapping[str, object] = {}
    heartbeat: bool = False


class Appearance(msgspec.Struct, frozen=True, kw_only=True):
    """`title` is never empty; `message` and `image_url` are "" where there is none."""

    title: str
    message: str = ""
    image_url: str = ""
    errors: tuple[TemplateError, ...] = ()


def render_appearance(program: IntegrationProgram, channel: str, view: View) -> Appearance:
    """Never raises for content. A failed template is replaced by the type's (title: then by the decided title).

    Title and message are in the markup of the channel, in which values of the alert mean nothing (`markup`).
    """
    view = _harmless(channel, view)
    if view.heartbeat:
        return Appearance(
            title=str(view.payload.get("title") or view.title), message=str(view.payload.get("message") or "")
        )
    errors: list[TemplateError] = []
    renderer = _Renderer(program, channel, view, errors)
    web: Mapping[str, str] = {}
    if channel != "web":
        of_web = render_appearance(program, "web", view)
        web = {
            "web_title": of_web.title,
            "web_message": of_web.message or NOT_SET,
            "web_image_url": of_web.image_url or NOT_SET,
        }
    texts = {part: renderer.render(part, web) for part in CHANNELS[channel]}
    title = texts["title"].strip() or view.title or program.evaluator.behaviour.fallback_title
    return _finished(channel, (title, texts.get("message", ""), texts.get("imageUrl", "")), errors)


def _harmless(channel: str, view: View) -> View:
    return replace(
        view,
        payload=harmless(channel, view.payload),
        labels=harmless(channel, dict(view.labels)),
        source_link=harmless(channel, view.source_link),
        title=harmless(channel, view.title),
    )


class _Renderer:
    """Renders the parts of one channel over one alert."""

    def __init__(
        self, program: IntegrationProgram, channel: str, view: View, errors: list[TemplateError]
    ) -> None:
        self.program = program
        self.channel = channel
        self.view = view
        self.errors = errors
        self.variables = Variables(payload=view.payload, labels=view.labels, now=view.now)

    def render(self, part: str, web: Mapping[str, str]) -> str:
        """The first template of the chain that works and gives something; "" if none does (alert-flow R-TPL-18)."""
        self.variables.extra = {
            "integration_name": self.program.evaluator.name,
            "source_link": self.view.source_link,
            **web,
            **self.view.extra,
        }
        for slot, template in self.program.looks(self.channel, part):
            try:
                text = render_text(template, self.variables)
            except TemplateProblem as problem:
                self.errors.append(failure_of(slot, problem))
                continue
            return "" if text.strip() in NOTHING else text
        return ""


def template_chain(program: IntegrationProgram, channel: str, part: str) -> tuple[tuple[str, Prepared], ...]:
    """(slot, template) in the order in which they are tried; the next one only counts where the one before fails."""
    own = program.fragment.templates.get(f"appearance.{channel}.{part}")
    defaults = program.kind.defaults
    chain = (
        (f"appearance.{channel}.{part}", own if own is not None and own.text else None),
        (f"appearance.{channel}.{part} (type default)", defaults.get(f"appearance.{channel}.{part}")),
        (f"appearance.web.{part} (type default)", defaults.get(f"appearance.web.{part}")),
    )
    found = {source.text: (slot, source) for slot, source in reversed(chain) if source is not None}
    return tuple((slot, Prepared(source)) for slot, source in reversed(found.values()))


def _finished(channel: str, parts: tuple[str, str, str], errors: list[TemplateError]) -> Appearance:
    title, message, image = parts
    if channel != "web":
        title = " ".join(title.split())
    if channel == "push":
        title, message = _pushed(title), _pushed(message)
    return Appearance(
        title=shortened(title, TITLE_LIMIT),
        message=message,
        image_url=image.strip() if _is_web_url(image.strip()) else "",
        errors=tuple(errors),
    )


def _pushed(text: str) -> str:
    return text if len(text) <= PUSH_LIMIT else text[:PUSH_LIMIT] + "..."


def _is_web_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return (
        parts.scheme in ("http", "https") and bool(parts.hostname) and text.isprintable() and " " not in text
    )
