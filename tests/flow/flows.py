"""Small flows for the tests of the evaluator: fragments as the compiler makes them, linked for real."""

from __future__ import annotations

from typing import Any

from tocsin.api.common import Identity, Matcher, Templates
from tocsin.flow.model import (
    AnyFragment,
    Flow,
    IntegrationFragment,
    LabelRuleFragment,
    Micros,
    RouteFragment,
    Target,
    TemplateText,
    WindowFragment,
    digest_of,
    encode_fragment,
)
from tocsin.flow.program import IntegrationProgram, link
from tocsin.sources.model import SourceType

NOW = Micros(1_780_000_000_000_000)
"""2026-05-28T20:26:40Z."""

BARE = SourceType(slug="bare", title="Bare", description="", fallback_title="Bare alert")
TYPED = SourceType(
    slug="typed",
    title="Typed",
    description="",
    fallback_title="Typed alert",
    labels={"service_name": "{{ payload.service }}"},
    defaults=Templates(
        grouping_id="{{ payload.uid }}",
        acknowledge='{{ payload.state == "ack" }}',
        resolve='{{ payload.state == "ok" }}',
        source_link="{{ payload.link }}",
    ),
)
TYPES = {"bare": BARE, "typed": TYPED}

ROUTE_1 = {"namespace": "ns", "name": "r1"}


def text(template: str) -> TemplateText:
    return TemplateText(text=template, origin="test")


def flow_of(*fragments: AnyFragment) -> Flow:
    encoded = {fragment.identity: (digest_of(encode_fragment(fragment)), fragment) for fragment in fragments}
    return Flow(
        manifest={identity: digest for identity, (digest, _) in encoded.items()},
        fragments=dict(encoded.values()),
        digest=digest_of("".join(sorted(digest for digest, _ in encoded.values())).encode()),
    )


def route(name: str, template: str = "", *, labels: tuple[str, ...] = (), regex: str = "") -> RouteFragment:
    """`labels` are written as `key=value`, `key!=value`, `key=~value`, `key!~value`."""
    return RouteFragment(
        namespace="ns",
        name=name,
        template=text(template) if template else None,
        matchers=tuple(map(matcher, labels)),
        regex=regex,
        target=Target(escalation_chain=f"ns/chain-{name}"),
    )


def matcher(written: str) -> Matcher:
    for operator in ("!=", "!~", "=~", "="):
        key, found, value = written.partition(operator)
        if found:
            return Matcher(key=key, operator=operator, value=value)
    raise AssertionError(written)


def rule(
    name: str, *, static: dict[str, str] | None = None, dynamic: Any = (), extract: str = ""
) -> LabelRuleFragment:
    """`dynamic` is a dict, or pairs where a key occurs twice."""
    pairs = dynamic.items() if isinstance(dynamic, dict) else dynamic
    return LabelRuleFragment(
        namespace="ns",
        name=name,
        static=tuple((static or {}).items()),
        dynamic=tuple((key, text(template)) for key, template in pairs),
        extract=text(extract) if extract else None,
    )


def window(name: str, start: str = "2026-05-28T20:00", **more: Any) -> WindowFragment:
    """Open at NOW for an hour from `start` unless said otherwise."""
    fields: dict[str, Any] = {"mode": "Maintenance", "duration": 3_600_000_000} | more
    return WindowFragment(namespace="ns", name=name, start=start, **fields)


def integration(
    *attached: AnyFragment, templates: dict[str, str] | None = None, **fields: Any
) -> tuple[IntegrationFragment, tuple[AnyFragment, ...]]:
    def names(of: type) -> tuple[str, ...]:
        return tuple(f"{part.namespace}/{part.name}" for part in attached if isinstance(part, of))

    fragment = IntegrationFragment(
        namespace="ns",
        name="it",
        templates={slot: text(template) for slot, template in (templates or {}).items()},
        routes=names(RouteFragment),
        label_rules=names(LabelRuleFragment),
        windows=names(WindowFragment),
        **{"type": "bare"} | fields,
    )
    return fragment, attached


def program(*attached: AnyFragment, **fields: Any) -> IntegrationProgram:
    """One integration `ns/it` with everything in `attached` attached in this order."""
    fragment, parts = integration(*attached, **fields)
    return link(flow_of(fragment, *parts), types=TYPES).integrations[Identity("Integration", "ns", "it")]
