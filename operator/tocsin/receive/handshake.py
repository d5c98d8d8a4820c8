"""How senders check a URL before they deliver: answered 2xx, never an alert."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tocsin.flow.model import Micros, TemplateText
from tocsin.flow.templates import Template, TemplateProblem, Variables, is_true, parse
from tocsin.sources.model import SourceType


class Handshakes:
    """The verifications that types declare, compiled once per type."""

    def __init__(self) -> None:
        self._compiled: dict[str, tuple[Template | None, Template | None]] = {}

    def probe(self, source: SourceType, method: str, query: Mapping[str, str], now: Micros) -> str | None:
        """The text that answers a GET or HEAD on the alert URL; None where the type declares no such check."""
        verification = source.verification
        if verification is None or method not in verification.methods:
            return None
        return self._echo(source, dict(query), now)

    def delivery(self, source: SourceType, payload: Any, now: Micros) -> str | None:
        """The text that answers a POST which is a handshake; None where it is an alert."""
        if source.verification is None or not source.verification.when:
            return None
        when, _ = self._templates(source)
        if when is None or not is_true(_rendered(when, payload, now)):
            return None
        return self._echo(source, payload, now)

    def _echo(self, source: SourceType, payload: Any, now: Micros) -> str:
        _, echo = self._templates(source)
        return "" if echo is None else _rendered(echo, payload, now)

    def _templates(self, source: SourceType) -> tuple[Template | None, Template | None]:
        compiled = self._compiled.get(source.slug)
        if compiled is None:
            assert source.verification is not None
            compiled = (
                _parse(source.verification.when, source.slug),
                _parse(source.verification.echo, source.slug),
            )
            self._compiled[source.slug] = compiled
        return compiled


def _parse(text: str, slug: str) -> Template | None:
    return parse(TemplateText(text=text, origin=f"type {slug} verification")) if text else None


def _rendered(template: Template, payload: Any, now: Micros) -> str:
    """A template that fails on this payload says nothing: the body is taken as an alert."""
    try:
        return template.render(Variables(payload=payload, labels={}, now=now))
    except TemplateProblem:
        return ""
