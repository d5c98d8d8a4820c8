"""The real evaluator on one integration of a type, for the tests of the types."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from tocsin.api.common import Identity
from tocsin.flow.appearance import View
from tocsin.flow.arrival import alerts_of, moment
from tocsin.flow.decision import Decision
from tocsin.flow.model import AnyFragment, Flow, IntegrationFragment, TemplateText, digest_of, encode_fragment
from tocsin.flow.program import IntegrationProgram, link
from tocsin.sources import load_types
from tocsin.sources.model import SourceType

PAYLOADS = Path(__file__).parents[1] / "payloads"
NOON = moment("2026-03-02T12:00:00Z")
IDENTITY = Identity("Integration", "default", "it")


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One alert as decided, and the texts of its type that a decision does not hold."""

    payload: dict[str, Any]
    decision: Decision
    message: str
    image_url: str
    phone: str

    @property
    def state(self) -> str:
        return (
            "resolved" if self.decision.resolve else "acknowledged" if self.decision.acknowledge else "firing"
        )


def flow_of(*fragments: AnyFragment) -> Flow:
    encoded = {fragment.identity: (digest_of(encode_fragment(fragment)), fragment) for fragment in fragments}
    return Flow(
        manifest={identity: digest for identity, (digest, _) in encoded.items()},
        fragments=dict(encoded.values()),
        digest=digest_of("".join(sorted(digest for digest, _ in encoded.values())).encode()),
    )


def program_of(
    slug: str,
    types: Mapping[str, SourceType] | None = None,
    *,
    templates: Mapping[str, str] | None = None,
    source_resolve: bool = True,
) -> IntegrationProgram:
    """An integration of the type with no more than these templates of its own."""
    fragment = IntegrationFragment(
        namespace="default",
        name="it",
        type=slug,
        source_resolve=source_resolve,
        templates={slot: TemplateText(text=text, origin=slot) for slot, text in (templates or {}).items()},
    )
    flow = flow_of(fragment)
    return link(flow, types=load_types() if types is None else types).integrations[IDENTITY]


def sent(program: IntegrationProgram, body: Any, now: str = "2026-03-02T12:00:00Z") -> tuple[Sent, ...]:
    """All alerts of a parsed body."""
    at = moment(now)
    assert at is not None
    results = []
    for payload in alerts_of(program.type, body, at):
        decision = program.evaluate(payload, at)
        view = View(
            payload=payload,
            now=at,
            labels=dict(decision.kept_labels),
            source_link=decision.source_link,
            title=decision.title,
        )
        web, phone = program.appearance("web", view), program.appearance("phone", view)
        assert not web.errors
        assert not phone.errors
        results.append(
            Sent(
                payload=payload,
                decision=decision,
                message=web.message,
                image_url=web.image_url,
                phone=phone.title,
            )
        )
    return tuple(results)


def body_of(file: str) -> Any:
    """A collected payload as the receiver parses it."""
    text = (PAYLOADS / file).read_text(encoding="utf-8")
    if file.endswith((".form.txt", ".query.txt")):
        return dict(parse_qsl(text, keep_blank_values=True))
    return json.loads(text)


@pytest.fixture(scope="session")
def build() -> Callable[..., IntegrationProgram]:
    """`build(slug)` is one program for the whole run; with types or templates a new one each time."""
    plain = {slug: program_of(slug) for slug in load_types()}

    def built(slug: str, types: Any = None, **changes: Any) -> IntegrationProgram:
        return program_of(slug, types, **changes) if types or changes else plain[slug]

    return built


@pytest.fixture(scope="session")
def send() -> Callable[..., tuple[Sent, ...]]:
    return sent


@pytest.fixture(scope="session")
def collected() -> Callable[[str], Any]:
    return body_of
