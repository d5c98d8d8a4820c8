"""Who leads: one at a time, with epochs that only rise."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from tocsin.control.kubernetes.client import ApiError
from tocsin.control.kubernetes.lease import DEADLINE, DURATION, Candidate, Lease


@dataclass
class Cluster:
    """One Lease in memory, with the conflicts of a real API server."""

    lease: dict[str, Any] | None = None
    version: int = 0
    away: bool = False
    requests: list[str] = field(default_factory=list)

    async def get(self, path: str) -> dict[str, Any]:
        self._arrive("get")
        if self.lease is None:
            raise ApiError(404, "NotFound", path)
        return copy.deepcopy(self.lease)

    async def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self._arrive("create")
        if self.lease is not None:
            raise ApiError(409, "AlreadyExists", path)
        return self._store(body)

    async def replace(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self._arrive("replace")
        if self.lease is None:
            raise ApiError(404, "NotFound", path)
        if body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            raise ApiError(409, "Conflict", path)
        return self._store(body)

    def _arrive(self, what: str) -> None:
        self.requests.append(what)
        if self.away:
            raise ApiError(0, "Unreachable", "away")

    def _store(self, body: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        body = copy.deepcopy(body)
        body["metadata"]["resourceVersion"] = str(self.version)
        self.lease = body
        return copy.deepcopy(body)


@dataclass
class World:
    """A cluster, a clock that everybody has, and the highest epoch in the store."""

    cluster: Cluster = field(default_factory=Cluster)
    seconds: float = 0.0
    stored: int = 0

    def candidate(self, holder: str) -> Lease:
        async def floor() -> int:
            return self.stored

        return Lease(
            self.cluster,
            Candidate(
                namespace="n",
                name="tocsin",
                holder=holder,
                floor=floor,
                seconds=lambda: self.seconds,
                wall=lambda: datetime.fromtimestamp(1_800_000_000 + self.seconds, UTC),
            ),
        )


@pytest.fixture
def world() -> World:
    return World()


async def test_the_first_one_makes_the_lease_and_leads(world: World) -> None:
    """With epoch 1 in a new cluster and an empty store."""
    one = world.candidate("one")
    assert one.epoch is None
    await one.attempt()
    assert one.epoch == 1
    assert world.cluster.lease is not None
    assert world.cluster.lease["spec"]["holderIdentity"] == "one"


async def test_others_wait_while_the_holder_renews(world: World) -> None:
    """However long it takes."""
    one, two = world.candidate("one"), world.candidate("two")
    await one.attempt()
    for _ in range(60):
        world.seconds += 2
        await one.attempt()
        await two.attempt()
    assert one.epoch == 1
    assert two.epoch is None and two.holder == "one"


async def test_a_dead_holder_is_replaced_with_a_higher_epoch(world: World) -> None:
    """After the Lease's duration without a change, counted by whoever waits."""
    one, two = world.candidate("one"), world.candidate("two")
    await one.attempt()
    await two.attempt()
    world.seconds += DURATION
    await two.attempt()
    assert two.epoch is None
    world.seconds += 0.1
    await two.attempt()
    assert two.epoch == 2


async def test_a_holder_stops_before_another_one_may_begin(world: World) -> None:
    """Cut off from the API server it leads until its deadline and no longer, and nobody else leads before."""
    one, two = world.candidate("one"), world.candidate("two")
    await one.attempt()
    await two.attempt()
    world.cluster.away = True
    while one.epoch is not None:
        world.seconds += 0.5
        with pytest.raises(ApiError):
            await one.attempt()
    assert DEADLINE < world.seconds < DURATION
    world.cluster.away = False
    await two.attempt()
    assert two.epoch is None


async def test_a_holder_that_was_away_goes_on_with_its_epoch(world: World) -> None:
    """Nobody else led meanwhile, so there is nothing to fence off."""
    one = world.candidate("one")
    await one.attempt()
    world.seconds += 60
    assert one.epoch is None
    await one.attempt()
    assert one.epoch == 1


async def test_whoever_lost_it_sees_so_and_stands_back(world: World) -> None:
    """The former holder returns after another one took over."""
    one, two = world.candidate("one"), world.candidate("two")
    await one.attempt()
    await two.attempt()
    world.seconds += DURATION + 1
    await two.attempt()
    await one.attempt()
    assert (one.epoch, two.epoch) == (None, 2)


async def test_of_two_that_take_it_at_once_one_loses(world: World) -> None:
    """The API server refuses the second write of the same version."""
    one, two, three = world.candidate("one"), world.candidate("two"), world.candidate("three")
    await one.attempt()
    await two.attempt()
    await three.attempt()
    world.seconds += DURATION + 1
    lease = copy.deepcopy(world.cluster.lease)
    await two.attempt()
    taken, world.cluster.lease = world.cluster.lease, lease
    original = world.cluster.get

    async def late(path: str) -> dict[str, Any]:
        found = await original(path)
        world.cluster.lease = taken
        return found

    world.cluster.get = late  # type: ignore[method-assign]
    await three.attempt()
    assert (two.epoch, three.epoch) == (2, None)


async def test_a_released_lease_is_taken_at_once(world: World) -> None:
    """A planned end leaves no gap."""
    one, two = world.candidate("one"), world.candidate("two")
    await one.attempt()
    await one.release()
    assert one.epoch is None
    await two.attempt()
    assert two.epoch == 2


async def test_releasing_what_another_one_holds_does_nothing(world: World) -> None:
    """A process that ends late must not throw its successor out."""
    one, two = world.candidate("one"), world.candidate("two")
    await one.attempt()
    await two.attempt()
    world.seconds += DURATION + 1
    await two.attempt()
    await one.release()
    assert two.epoch == 2 and world.cluster.lease is not None
    assert world.cluster.lease["spec"]["holderIdentity"] == "two"


async def test_a_lease_that_was_deleted_does_not_fall_behind_the_store(world: World) -> None:
    """The store would refuse epoch 1 for ever after it has seen 7."""
    world.stored = 7
    one = world.candidate("one")
    await one.attempt()
    assert one.epoch == 8


async def test_an_epoch_that_the_store_refused_is_not_used_again(world: World) -> None:
    """A leader that is told StaleEpoch comes back above it, though it still holds the Lease."""
    one = world.candidate("one")
    await one.attempt()
    one.refuse(1)
    assert one.epoch is None
    world.stored = 4
    await one.attempt()
    assert one.epoch == 5


async def test_the_same_holder_goes_on_at_once_after_a_crash(world: World) -> None:
    """One process per SQLite database: the next one has the same name and need not wait."""
    await world.candidate("one").attempt()
    again = world.candidate("one")
    await again.attempt()
    assert again.epoch == 1


async def test_a_slow_answer_counts_from_the_question(world: World) -> None:
    """The renewal was written when it was sent, not when its answer came."""
    one = world.candidate("one")
    original = world.cluster.create

    async def slow(path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await original(path, body)
        world.seconds += DEADLINE + 1
        return answer

    world.cluster.create = slow  # type: ignore[method-assign]
    await one.attempt()
    assert one.epoch is None
