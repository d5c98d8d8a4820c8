"""Changes close together are compiled once; nobody waits for ever."""

from __future__ import annotations

import asyncio

from kube_virtual import run

from tocsin.control.kubernetes.debounce import Debounce


async def settled_after(touches: list[float]) -> float:
    """When `settled` returns if the debounce is touched at these moments; all in seconds from now."""
    debounce, loop = Debounce(quiet=0.05, longest=0.3), asyncio.get_running_loop()
    began = loop.time()
    for moment in touches:
        loop.call_at(began + moment, debounce.touch)
    await debounce.settled()
    return round(loop.time() - began, 6)


def test_one_touch_is_acted_on_after_a_moment_of_quiet() -> None:
    """50 ms after it."""
    assert run(settled_after([0.0])) == 0.05


def test_each_touch_prolongs_the_wait() -> None:
    """Quiet counts from the last one."""
    assert run(settled_after([0.0, 0.03, 0.06])) == 0.11


def test_touches_without_end_do_not_hold_it_up() -> None:
    """300 ms after the first at the latest."""
    assert run(settled_after([at * 0.02 for at in range(50)])) == 0.3


def test_touches_after_it_settled_count_for_the_next_time() -> None:
    """A change that comes during a compilation gets a compilation of its own."""

    async def twice() -> float:
        debounce, loop = Debounce(), asyncio.get_running_loop()
        debounce.touch()
        await debounce.settled()
        debounce.touch()
        began = loop.time()
        await debounce.settled()
        return round(loop.time() - began, 6)

    assert run(twice()) == 0.05


def test_without_a_touch_it_waits() -> None:
    """Nothing changed: nothing is to be done."""

    async def waits() -> bool:
        try:
            await asyncio.wait_for(Debounce().settled(), 3600)
        except TimeoutError:
            return True
        return False

    assert run(waits())
