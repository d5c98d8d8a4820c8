"""The cluster's objects, put together from events and lists in any order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kube_objects import body

from tocsin.api.common import Identity
from tocsin.control.kubernetes.objects import Objects

A, B = Identity("AlertRoute", "n", "a"), Identity("AlertRoute", "n", "b")


def sweep(objects: Objects, *bodies: dict, version: int, namespace: str | None = None) -> list[Identity]:
    begun = objects.begin("AlertRoute", namespace)
    objects.listed(begun, bodies)
    return objects.finish(begun, str(version))


def test_a_new_object_is_news_and_the_same_again_is_none() -> None:
    """An event that repeats what is known does not make anybody compile."""
    objects = Objects()
    assert objects.put("AlertRoute", body(version=5))
    assert not objects.put("AlertRoute", body(version=5))
    assert set(objects.take()) == {A}
    assert not objects.take()


def test_a_status_alone_is_no_news_but_is_remembered() -> None:
    """Our own writing must not start the next round; what it says is compared with at the next one."""
    objects = Objects()
    objects.put("AlertRoute", body(version=5))
    objects.take()
    assert not objects.put("AlertRoute", body(version=6, status={"observedGeneration": 1}))
    assert not objects.take()
    known = objects.get(A)
    assert known is not None and known.status == {"observedGeneration": 1}


@pytest.mark.parametrize(
    "change",
    [{"generation": 2}, {"labels": {"team": "x"}}, {"uid": "another"}, {"deleting": True}],
    ids=["generation", "labels", "recreated", "deletion"],
)
def test_what_the_compiler_reads_is_news(change: dict) -> None:
    """A new generation, other labels, another object of the same name, the beginning of a deletion."""
    objects = Objects()
    objects.put("AlertRoute", body(version=5))
    objects.take()
    assert objects.put("AlertRoute", body(version=6, **change))


def test_an_object_that_is_being_deleted_counts_as_gone() -> None:
    """Somebody's finalizer may hold it for days: it must not route alerts meanwhile."""
    objects = Objects()
    objects.put("AlertRoute", body(version=5))
    objects.put("AlertRoute", body(version=6, deleting=True))
    assert objects.take() == {A: None}


def test_an_older_version_changes_nothing() -> None:
    """Events and lists overtake each other."""
    objects = Objects()
    objects.put("AlertRoute", body(version=9, generation=3))
    objects.take()
    assert not objects.put("AlertRoute", body(version=7, generation=2))
    known = objects.get(A)
    assert known is not None and known.generation == 3


def test_an_older_deletion_does_not_remove_the_recreated_object() -> None:
    """Deleted at 7, made anew at 8, and the event of the deletion comes last."""
    objects = Objects()
    objects.put("AlertRoute", body(version=8, uid="second"))
    assert not objects.drop("AlertRoute", body(version=7, uid="first"))
    assert objects.get(A) is not None


def test_what_was_deleted_does_not_come_back_from_a_late_event() -> None:
    """A list that was read before the deletion arrives after it."""
    objects = Objects()
    begun = objects.begin("AlertRoute", None)
    objects.put("AlertRoute", body(version=5))
    objects.drop("AlertRoute", body(version=6))
    objects.take()
    objects.listed(begun, [body(version=5)])
    objects.finish(begun, "5")
    assert objects.get(A) is None and not objects.take()


def test_a_sweep_removes_what_no_event_told() -> None:
    """kopf loses deletions across a relist; the sweep finds them."""
    objects = Objects()
    objects.put("AlertRoute", body(name="a", version=1))
    objects.put("AlertRoute", body(name="b", version=2))
    objects.take()
    assert sweep(objects, body(name="a", version=1), version=9) == [B]
    assert objects.take() == {B: None}


def test_a_sweep_leaves_what_was_born_after_its_moment() -> None:
    """An object that came while the list was read is newer than the list."""
    objects = Objects()
    begun = objects.begin("AlertRoute", None)
    objects.put("AlertRoute", body(version=12))
    assert objects.finish(begun, "10") == []
    assert objects.get(A) is not None


def test_a_sweep_of_one_namespace_leaves_the_others() -> None:
    """With Roles alone each namespace is listed by itself."""
    objects = Objects()
    objects.put("AlertRoute", body(version=1, namespace="n"))
    objects.put("AlertRoute", body(version=1, namespace="m"))
    assert sweep(objects, version=5, namespace="m") == [Identity("AlertRoute", "m", "a")]


def test_a_restored_etcd_starts_again_from_lower_versions() -> None:
    """A list is the truth about what was known before it was asked for, whatever the versions say."""
    objects = Objects()
    objects.put("AlertRoute", body(version=900, generation=7))
    objects.put("AlertRoute", body(name="b", version=901))
    objects.take()
    assert sweep(objects, body(version=30, generation=5), version=40) == [B]
    known = objects.get(A)
    assert known is not None and known.generation == 5


def test_versions_that_are_no_numbers_are_taken_as_they_come() -> None:
    """Kubernetes calls them opaque: what cannot be compared is news."""
    objects = Objects()
    first, second = body(version=1), body(version=1, generation=2)
    first["metadata"]["resourceVersion"] = "x9"
    second["metadata"]["resourceVersion"] = "x1"
    objects.put("AlertRoute", first)
    assert objects.put("AlertRoute", second)


def test_what_could_not_be_used_is_given_back_without_undoing_later_news() -> None:
    """A compilation that fails for want of a store must not lose changes."""
    objects = Objects()
    objects.put("AlertRoute", body(name="a", version=1))
    objects.put("AlertRoute", body(name="b", version=2))
    taken = objects.take()
    objects.drop("AlertRoute", body(name="a", version=3))
    objects.give_back(taken)
    changes = objects.take()
    assert changes[A] is None and changes[B] is not None


def test_bodies_are_kept_without_what_nobody_reads() -> None:
    """Statuses and managed fields are most of an object's weight."""
    objects = Objects()
    objects.put("AlertRoute", body(version=1, status={"conditions": []}))
    (kept,) = objects.take().values()
    assert kept is not None
    assert "status" not in kept and "managedFields" not in kept["metadata"]


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[tuple[int, str, bool]], list[int]]:
    """A history of one or two objects (version, name, deleted), and an order in which its events arrive."""
    count = draw(st.integers(1, 8))
    events, alive = [], {"a": False, "b": False}
    for version in range(1, count + 1):
        name = draw(st.sampled_from("ab"))
        deleted = alive[name] and draw(st.booleans())
        alive[name] = not deleted
        events.append((version, name, deleted))
    return events, draw(st.permutations(range(count)))


@given(histories())
def test_whatever_the_order_of_arrival_a_sweep_ends_at_the_truth(
    history: tuple[list[tuple[int, str, bool]], list[int]],
) -> None:
    """Events in any order, then one list: what is known is what is there."""
    events, order = history
    objects = Objects()
    for index in order:
        version, name, deleted = events[index]
        made = body(name=name, version=version, generation=version, uid=f"{name}")
        if deleted:
            objects.drop("AlertRoute", made)
        else:
            objects.put("AlertRoute", made)
    last = {name: (version, deleted) for version, name, deleted in events}
    alive = {name: version for name, (version, deleted) in last.items() if not deleted}
    listed = [body(name=name, version=v, generation=v, uid=name) for name, v in alive.items()]
    sweep(objects, *listed, version=len(events))
    found = {identity.name: known.generation for identity, known in objects.of("AlertRoute").items()}
    assert found == alive
