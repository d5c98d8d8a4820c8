"""Statuses are written only where they differ, the urgent ones first, at a bounded rate, and to the right object."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from kube_objects import signals
from kube_virtual import run

from tocsin.api.common import Identity
from tocsin.control.kubernetes.client import ApiError
from tocsin.control.kubernetes.resources import Scope
from tocsin.control.kubernetes.statuses import Statuses, Urgency, Writing

Reply = Callable[[str, dict[str, Any]], dict[str, Any] | ApiError]


def identity(name: str) -> Identity:
    return Identity("AlertRoute", "n", name)


class Desk:
    """The author, the API server and a clock in one: `sent` are (second, name) of all requests."""

    def __init__(self, reply: Reply = lambda _name, body: body) -> None:
        self.sent: list[tuple[float, str]] = []
        self.bodies: list[dict[str, Any]] = []
        self.written_names: list[str] = []
        self.present: dict[str, Any] = {}
        self.gone: set[str] = set()
        self.reply = reply
        self.signals = signals()
        self.statuses = Statuses(self, Scope().own_resources(), self, self.signals)
        self.began = asyncio.get_running_loop().time()

    def plan(self, of: Identity) -> Writing | None:
        if of.name in self.gone:
            return None
        present = self.present.get(of.name, {})
        return Writing(uid=f"uid-{of.name}", present=present, desired={"observedGeneration": 2})

    def written(self, of: Identity, writing: Writing, answer: dict[str, Any]) -> None:
        self.written_names.append(of.name)
        self.present[of.name] = writing.desired

    async def apply(self, path: str, body: dict[str, Any], *, manager: str) -> dict[str, Any]:
        name = body["metadata"]["name"]
        assert manager == "tocsin"
        assert path.endswith(f"/alertroutes/{name}/status")
        self.sent.append((asyncio.get_running_loop().time() - self.began, name))
        self.bodies.append(body)
        await asyncio.sleep(0.001)
        answer = self.reply(name, body)
        if isinstance(answer, ApiError):
            raise answer
        return answer

    @property
    def names(self) -> list[str]:
        return [name for _, name in self.sent]


def at_the_desk(work: Callable[[Desk], Awaitable[None]], reply: Reply = lambda _n, b: b) -> Desk:
    async def sit() -> Desk:
        desk = Desk(reply)
        task = asyncio.create_task(desk.statuses.run())
        await work(desk)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return desk

    return run(sit())


def add(desk: Desk, *names: str, urgency: Urgency = Urgency.CHANGE) -> None:
    for name in names:
        desk.statuses.add(identity(name), urgency)
    desk.statuses.wake()


def test_what_says_the_right_thing_already_is_not_written() -> None:
    """No request at all, so that a restart of the operator is no storm."""

    async def work(desk: Desk) -> None:
        desk.present["a"] = {"observedGeneration": 2}
        add(desk, "a", "b")
        await asyncio.sleep(1)

    assert at_the_desk(work).names == ["b"]


def test_a_write_can_only_meet_the_object_that_it_was_made_for() -> None:
    """The body names the uid, so a recreated object refuses it."""

    async def work(desk: Desk) -> None:
        add(desk, "a")
        await asyncio.sleep(1)

    (body,) = at_the_desk(work).bodies
    assert body["metadata"]["uid"] == "uid-a"
    assert body["status"] == {"observedGeneration": 2}
    assert set(body) == {"apiVersion", "kind", "metadata", "status"}


def test_changes_go_first_and_sweeps_last() -> None:
    """Somebody waits for the answer to an edit; nobody waits for a counter."""

    async def work(desk: Desk) -> None:
        add(desk, *(f"s{at}" for at in range(300)), urgency=Urgency.ROUTINE)
        await asyncio.sleep(0.5)
        add(desk, "effect", urgency=Urgency.EFFECT)
        add(desk, "change", urgency=Urgency.CHANGE)
        await asyncio.sleep(0.2)

    names = at_the_desk(work).names
    before = names.index("change")
    assert before < names.index("effect") < before + 5
    assert 20 < before < 120


def test_no_more_than_a_hundred_a_second() -> None:
    """After a short burst."""

    async def work(desk: Desk) -> None:
        add(desk, *(f"x{at}" for at in range(500)), urgency=Urgency.ROUTINE)
        await asyncio.sleep(10)

    desk = at_the_desk(work)
    assert len(desk.sent) == 500
    for second in range(5):
        assert sum(1 for at, _ in desk.sent if second <= at < second + 1) <= 125
    assert 4.5 < desk.sent[-1][0] < 5.5


def test_many_reasons_to_write_are_one_write() -> None:
    """What to write is decided when the turn comes."""

    async def work(desk: Desk) -> None:
        for _ in range(10):
            add(desk, "a", urgency=Urgency.ROUTINE)
            add(desk, "a", urgency=Urgency.CHANGE)
        await asyncio.sleep(1)

    assert at_the_desk(work).names == ["a"]


def test_a_deleted_object_is_dropped() -> None:
    """404 is no problem and is not tried again."""

    async def work(desk: Desk) -> None:
        add(desk, "a")
        await asyncio.sleep(60)

    desk = at_the_desk(work, lambda _n, _b: ApiError(404, "NotFound", "gone"))
    assert desk.names == ["a"] and not desk.signals.problems.open


def test_a_conflict_is_tried_again_a_few_times() -> None:
    """And then left to the next change or sweep."""

    async def work(desk: Desk) -> None:
        add(desk, "a")
        await asyncio.sleep(60)

    desk = at_the_desk(work, lambda _n, _b: ApiError(409, "Conflict", "changed"))
    assert desk.names == ["a"] * 5 and not desk.signals.problems.open


def test_a_refused_status_is_a_problem_of_the_operator_and_no_storm() -> None:
    """It says which object and why; others are written all the same."""

    def reply(name: str, body: dict[str, Any]) -> dict[str, Any] | ApiError:
        return ApiError(422, "Invalid", "status.findings: Invalid value") if name == "bad" else body

    async def work(desk: Desk) -> None:
        add(desk, "bad", "good")
        await asyncio.sleep(60)
        assert "Invalid value" in desk.signals.problems.describe()

    desk = at_the_desk(work, reply)
    assert desk.names.count("bad") == 5 and desk.names.count("good") == 1


def test_too_many_requests_make_everybody_wait() -> None:
    """As long as the server says."""
    left = [1]

    def reply(_name: str, body: dict[str, Any]) -> dict[str, Any] | ApiError:
        if left and left.pop():
            return ApiError(429, "TooManyRequests", "slow", retry_after=7)
        return body

    async def work(desk: Desk) -> None:
        add(desk, "a")
        await asyncio.sleep(0.1)
        add(desk, "b", "c")
        await asyncio.sleep(30)

    desk = at_the_desk(work, reply)
    assert sorted(desk.names) == ["a", "a", "b", "c"]
    assert all(at > 6.9 for at, _ in desk.sent[1:])


def test_an_api_server_that_is_away_is_asked_less_and_less() -> None:
    """And everything is written once it is back."""

    async def work(desk: Desk) -> None:
        add(desk, "a", "b")
        await asyncio.sleep(60)
        assert len(desk.sent) < 20
        desk.reply = lambda _n, body: body
        await asyncio.sleep(60)

    desk = at_the_desk(work, lambda _n, _b: ApiError(0, "Unreachable", "away"))
    assert sorted(desk.written_names) == ["a", "b"]


def test_who_no_longer_leads_writes_nothing_more() -> None:
    """What waits is forgotten."""

    async def work(desk: Desk) -> None:
        add(desk, *(f"x{at}" for at in range(300)), urgency=Urgency.ROUTINE)
        await asyncio.sleep(0.5)
        desk.statuses.clear()
        before = len(desk.sent)
        await asyncio.sleep(10)
        assert len(desk.sent) <= before + 8

    at_the_desk(work)


def test_an_object_that_is_gone_when_its_turn_comes_is_left_alone() -> None:
    """There is nothing to plan for it."""

    async def work(desk: Desk) -> None:
        desk.gone.add("a")
        add(desk, "a", "b")
        await asyncio.sleep(1)

    assert at_the_desk(work).names == ["b"]


@pytest.mark.parametrize("status", [403, 400])
def test_what_will_never_be_accepted_is_said_once(status: int) -> None:
    """A missing permission is reported, not hammered at."""

    async def work(desk: Desk) -> None:
        add(desk, "a")
        await asyncio.sleep(60)
        assert desk.signals.problems.describe()

    assert at_the_desk(work, lambda _n, _b: ApiError(status, "Forbidden", "no")).names == ["a"]
