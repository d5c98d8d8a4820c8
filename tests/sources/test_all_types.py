"""What holds for all types: defaults are looked up live, and the integration's own templates come first."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from tocsin.api.common import Appearance, RichAppearance
from tocsin.sources import load_types

BODY = {"alert_uid": "u", "title": "Theirs", "state": "ok"}


def test_defaults_are_looked_up_live(build: Callable, send: Callable) -> None:
    """Another default of the type changes every integration that has no template of its own in that slot.

    Rules: R-TYP-2
    """
    types = dict(load_types())
    webhook = types["webhook"]
    web = RichAppearance(title="New default")
    types["webhook"] = msgspec.structs.replace(
        webhook, defaults=msgspec.structs.replace(webhook.defaults, appearance=Appearance(web=web))
    )
    before, after = build("webhook"), build("webhook", types)
    own = build("webhook", types, templates={"appearance.web.title": "Mine"})
    assert send(before, BODY)[0].decision.title == "Theirs"
    assert send(after, BODY)[0].decision.title == "New default"
    assert send(own, BODY)[0].decision.title == "Mine"
    assert after.fragment == before.fragment


@pytest.mark.parametrize("slug", [slug for slug, source in load_types().items() if source.url])
def test_the_source_may_resolve_unless_the_integration_says_no(
    slug: str, build: Callable, send: Callable
) -> None:
    """`sourceResolve` is Allowed by default for every type; Ignored takes a recovery for an ordinary alert."""
    over = {
        "kapacitor": {"id": "x", "level": "OK"},
        "amazon_sns": {"AlarmName": "x", "NewStateValue": "OK"},
        "prometheus": {"labels": {"alertname": "x"}, "endsAt": "2026-03-01T00:00:00Z"},
        "alertmanager": {"groupKey": "x", "status": "resolved"},
        "grafana_alerting": {"groupKey": "x", "status": "resolved"},
    }.get(slug, {"alert_uid": "x", "state": "ok"})
    assert send(build(slug), over)[0].state == "resolved"
    assert send(build(slug, source_resolve=False), over)[0].state == "firing"
