"""Programmed=True is proof: every live replica that uses the kind has said that it loaded the generation."""

from __future__ import annotations

import pytest

from tocsin.api.common import Identity
from tocsin.api.conditions import Reason
from tocsin.control.kubernetes.programmed import NAMED_AFTER, NOBODY_FOR, Programmed, judge
from tocsin.flow.model import Micros
from tocsin.store.replicas import Replica

ROUTE = Identity("AlertRoute", "n", "a")
OTHER = Identity("AlertRoute", "n", "b")


def replica(name: str, revision: int, role: str = "receiver") -> Replica:
    return Replica(
        id=name, role=role, version="1", revision=revision, registered_at=Micros(0), renewed_at=Micros(0)
    )


def published(revision: int = 5, generation: int = 1) -> Programmed:
    programmed = Programmed()
    programmed.publish(ROUTE, "u", generation, revision=revision, now=0.0)
    return programmed


@pytest.mark.parametrize(
    ("replicas", "programmed", "reason"),
    [
        ([], False, Reason.NO_RECEIVERS),
        ([replica("d", 9, "dispatcher")], False, Reason.NO_RECEIVERS),
        ([replica("r", 4)], False, Reason.PENDING),
        ([replica("r", 5)], True, Reason.PROGRAMMED),
        ([replica("r", 6)], True, Reason.PROGRAMMED),
        ([replica("r", 5), replica("s", 4)], False, Reason.PENDING),
        ([replica("r", 5), replica("s", 0)], True, Reason.PROGRAMMED),
        ([replica("r", 0)], False, Reason.PENDING),
        ([replica("r", 5), replica("d", 4, "dispatcher")], False, Reason.PENDING),
        ([replica("r", 5), replica("c", 4, "console")], True, Reason.PROGRAMMED),
        ([replica("x", 5, "all")], True, Reason.PROGRAMMED),
    ],
    ids=[
        "nobody",
        "no receiver",
        "behind",
        "loaded",
        "later revision",
        "one behind",
        "a starting one does not count",
        "only a starting one",
        "a dispatcher uses routes",
        "a console enforces nothing",
        "all roles in one",
    ],
)
def test_who_counts(replicas: list[Replica], programmed: bool, reason: Reason) -> None:
    """All live replicas of the roles that use the kind; one that has loaded nothing yet does not count."""
    found = judge("AlertRoute", 5, replicas, waited=0.0)
    assert (found.programmed, found.reason) == (programmed, reason)


def test_a_label_rule_does_not_wait_for_dispatchers() -> None:
    """They do not use it."""
    assert judge("LabelRule", 5, [replica("r", 5), replica("d", 1, "dispatcher")], waited=0).programmed


def test_replicas_are_named_only_once_it_lasts() -> None:
    """Names in a status that changes in a moment anyway would be noise."""
    behind = [replica("r", 4), replica("s", 5)]
    assert "r" not in judge("AlertRoute", 5, behind, waited=NAMED_AFTER).message.split(": ")[-1].split()
    assert "waiting for r;" in judge("AlertRoute", 5, behind, waited=NAMED_AFTER + 1).message
    many = [replica(f"r{at}", 4) for at in range(9)]
    assert "r0, r1, r2 and 6 more" in judge("AlertRoute", 5, many, waited=60).message


def test_what_is_proven_stays_proven() -> None:
    """Scaling, restarts and other objects' changes never rewrite it."""
    programmed = published()
    assert programmed.acknowledge([replica("r", 5)], 1.0) == {ROUTE}
    programmed.publish(OTHER, "v", 1, revision=6, now=2.0)
    for replicas in ([], [replica("r", 5), replica("s", 3)], [replica("new", 0)]):
        assert ROUTE not in programmed.acknowledge(replicas, 3.0)
        assert programmed.of(ROUTE, 1).programmed


def test_a_new_generation_has_to_be_proven_anew() -> None:
    """And until it is, nothing is claimed of it."""
    programmed = published()
    programmed.acknowledge([replica("r", 5)], 1.0)
    assert not programmed.of(ROUTE, 2).programmed
    programmed.publish(ROUTE, "u", 2, revision=6, now=2.0)
    assert not programmed.of(ROUTE, 2).programmed
    programmed.acknowledge([replica("r", 6)], 3.0)
    assert programmed.of(ROUTE, 2).programmed


def test_a_recreated_object_has_to_be_proven_anew() -> None:
    """The same name and generation, but another object."""
    programmed = published()
    programmed.acknowledge([replica("r", 5)], 1.0)
    programmed.publish(ROUTE, "another", 1, revision=6, now=2.0)
    assert not programmed.of(ROUTE, 1).programmed


def test_publishing_the_same_generation_again_does_not_raise_the_bar() -> None:
    """An object waits for the first revision that holds it, however many follow."""
    programmed = published(revision=5)
    programmed.publish(ROUTE, "u", 1, revision=9, now=2.0)
    programmed.acknowledge([replica("r", 5)], 3.0)
    assert programmed.of(ROUTE, 1).programmed and not programmed.waits


def test_a_restarted_operator_believes_what_the_object_says() -> None:
    """Proof that was written once need not be repeated."""
    programmed = Programmed()
    programmed.remember(ROUTE, "u", 3)
    assert programmed.of(ROUTE, 3).programmed and not programmed.waits
    programmed.publish(ROUTE, "u", 3, revision=8, now=0.0)
    assert programmed.of(ROUTE, 3).programmed


def test_only_changes_are_told() -> None:
    """The same answer again is no reason to write."""
    programmed = published()
    assert programmed.acknowledge([replica("r", 4)], 1.0) == set()
    assert programmed.acknowledge([replica("r", 4)], NAMED_AFTER + 1) == {ROUTE}
    assert programmed.acknowledge([replica("r", 4)], NAMED_AFTER + 2) == set()
    assert programmed.acknowledge([], NAMED_AFTER + 3) == {ROUTE}


def test_without_any_receiver_nothing_is_claimed() -> None:
    """Not at once, for that may be a restart; one that comes back proves it again, and the same for dispatchers."""
    programmed = published()
    chain = Identity("EscalationChain", "n", "c")
    programmed.publish(chain, "u", 1, revision=5, now=0.0)
    both = [replica("r", 5), replica("d", 5, "dispatcher")]
    assert programmed.acknowledge(both, 1.0) == {ROUTE, chain}
    assert programmed.acknowledge(both[1:], 2.0) == set()
    assert programmed.acknowledge(both[1:], 1.9 + NOBODY_FOR) == set()
    assert programmed.acknowledge(both[1:], 2.0 + NOBODY_FOR) == {ROUTE}
    assert programmed.of(ROUTE, 1).reason == Reason.NO_RECEIVERS and programmed.waits
    assert programmed.of(chain, 1).programmed
    assert programmed.acknowledge([replica("s", 0), both[1]], 60.0) == {ROUTE}
    assert programmed.of(ROUTE, 1).reason == Reason.PENDING
    assert programmed.acknowledge([replica("s", 9), both[1]], 61.0) == {ROUTE}
    assert programmed.of(ROUTE, 1).programmed and not programmed.waits
    assert programmed.acknowledge([replica("s", 9)], 62.0) == set()
    assert programmed.acknowledge([replica("s", 9)], 62.0 + NOBODY_FOR) == {chain}


def test_a_short_absence_does_not_count() -> None:
    """Each absence is counted from its own beginning."""
    programmed = published()
    programmed.acknowledge([replica("r", 5)], 0.0)
    for moment in range(10, 100, 10):
        assert programmed.acknowledge([], float(moment)) == set()
        assert programmed.acknowledge([replica("r", 5)], moment + 5.0) == set()
