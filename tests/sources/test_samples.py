"""Every sample of every type through the real evaluator: what its folder's expected.yaml says comes out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from importlib.resources import files

import pytest

from tocsin.sources import load_types
from tocsin.sources.samples import Expected, ExpectedAlert, read_expected, read_sample

SAMPLES = [
    (slug, name, expected)
    for slug in load_types()
    for name, expected in read_expected(files("tocsin.sources") / slug).items()
]


@pytest.mark.parametrize(("slug", "name", "expected"), SAMPLES, ids=[f"{s}-{n}" for s, n, _ in SAMPLES])
def test_sample(slug: str, name: str, expected: Expected, build: Callable, send: Callable) -> None:
    """Title, grouping id, state, link, labels and message are as stated; no template fails or misses a field."""
    alerts = send(build(slug), read_sample(files("tocsin.sources") / slug, name), expected.now)
    assert len(alerts) == len(expected.alerts)
    for alert, wanted in zip(alerts, expected.alerts, strict=True):
        decision = alert.decision
        got = ExpectedAlert(
            title=decision.title,
            grouping_id=None if wanted.grouping_id is None else decision.grouping_id,
            state=alert.state,
            source_link=None if wanted.source_link is None else decision.source_link,
            image_url=None if wanted.image_url is None else alert.image_url,
            phone=None if wanted.phone is None else alert.phone,
            labels=None if wanted.labels is None else dict(decision.labels),
            message_has=tuple(piece for piece in wanted.message_has if piece in alert.message),
        )
        assert got == wanted, alert.message
        assert not decision.outcome.errors
        assert not decision.outcome.notes
        assert not decision.outcome.dropped


def test_samples_of_one_problem_share_a_grouping_key(build: Callable, send: Callable) -> None:
    """Firing, acknowledgement and recovery of one problem meet in one group, for every type that has any of these."""
    keys: dict[tuple[str, str], set[bytes]] = defaultdict(set)
    states: dict[tuple[str, str], set[str]] = defaultdict(set)
    for slug, name, expected in SAMPLES:
        if expected.pair:
            for alert in send(build(slug), read_sample(files("tocsin.sources") / slug, name), expected.now):
                assert alert.decision.grouping_key, (slug, name)
                keys[slug, expected.pair].add(alert.decision.grouping_key)
                states[slug, expected.pair].add(alert.state)
    assert {pair: len(found) for pair, found in keys.items() if len(found) != 1} == {}
    assert {pair for pair, found in states.items() if not {"firing", "resolved"} <= found} == set()
