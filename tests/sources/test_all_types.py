"""What holds for all types: defaults are looked up live, and the integration's own templates come first."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.api.common import Appearance, RichAppearance
from tocsin.sources import load_types
from tocsin.sources.samples import read_expected, read_sample

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda children: (
        st.lists(children, max_size=2) | st.dictionaries(st.text(max_size=5), children, max_size=2)
    ),
    max_leaves=4,
)
SAMPLES = {
    slug: [
        element
        for name in read_expected(files("tocsin.sources") / slug)
        for body in [read_sample(files("tocsin.sources") / slug, name)]
        for element in (body if isinstance(body, list) else [body])
    ]
    for slug in load_types()
}
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


@pytest.mark.parametrize("slug", load_types())
@given(data=st.data())
def test_fields_of_any_type_break_no_default(
    slug: str, data: st.DataObject, build: Callable, send: Callable
) -> None:
    """A field that holds something else than usual costs neither the alert nor its title, nor any text of it."""
    sample: dict[str, Any] = data.draw(st.sampled_from(SAMPLES[slug]))
    changed = data.draw(st.dictionaries(st.sampled_from(sorted(sample)), ANYTHING, max_size=3))
    for alert in send(build(slug), {**sample, **changed}):
        assert alert.decision.title
        assert not alert.decision.outcome.errors
