"""A replica follows what is published, says which revision it has loaded, and takes no traffic when it cannot know."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tocsin.control.folder import Folder
from tocsin.control.publisher import Publisher
from tocsin.sources import load_types
from tocsin.store import revisions
from tocsin.store.database import Store
from tocsin.store.errors import StoreUnavailable
from tocsin.store.keys import KeyRing
from tocsin.store.replica import CANNOT_RENEW, NOTHING_PUBLISHED, STALE_AFTER, LiveFlow

TEXT = "apiVersion: tocsin.dev/v1alpha1\nkind: Integration\nmetadata: {name: %s}\nspec: {type: webhook}\n"
ROUTE = "---\napiVersion: tocsin.dev/v1alpha1\nkind: AlertRoute\nmetadata: {name: r}\nspec: {parentRefs: [{name: web}], match: {template: '%s'}}\n"


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(f"sqlite:///{tmp_path}/t.db", keys=KeyRing.from_file(tmp_path / "key"))
    yield opened
    await opened.close()


async def publish(store: Store, root: Path, text: str) -> None:
    root.mkdir(exist_ok=True)
    (root / "a.yaml").write_text(text)
    await Publisher(store, load_types()).publish(
        Folder((root,), digest=store.keys.digest, last_good={}).read()
    )


async def test_nothing_is_served_before_a_flow_is_loaded(store: Store, tmp_path: Path) -> None:
    live = LiveFlow(store, role="all", types=load_types())
    await live.start()
    assert live.not_ready == NOTHING_PUBLISHED
    (replica,) = await store.read(revisions.live_replicas)
    assert (replica.role, replica.revision) == ("all", 0)
    await publish(store, tmp_path / "m", TEXT % "web")
    await live.refresh()
    assert live.not_ready == ""
    assert [i.name for i in live.program.integrations] == ["web"]
    (replica,) = await store.read(revisions.live_replicas)
    assert replica.revision == live.revision > 0
    await live.stop()
    assert await store.read(revisions.live_replicas) == ()


async def test_follows_changes_by_itself_and_loads_only_what_changed(store: Store, tmp_path: Path) -> None:
    """A changed route relinks its integration; everything else stays the very same program."""
    await publish(store, tmp_path / "m", TEXT % "web" + "---\n" + TEXT % "other" + ROUTE % "true")
    live = LiveFlow(store, role="all", types=load_types())
    await live.start()
    before = {identity.name: program for identity, program in live.program.integrations.items()}
    changed = asyncio.Event()
    live.on_change.append(changed.set)
    await publish(store, tmp_path / "m", TEXT % "web" + "---\n" + TEXT % "other" + ROUTE % "{{ payload.x }}")
    await asyncio.wait_for(changed.wait(), 30)
    after = {identity.name: program for identity, program in live.program.integrations.items()}
    assert after["other"] is before["other"]
    now = (await store.read(revisions.current)).published_at  # type: ignore[union-attr]
    assert after["web"].evaluate({"x": "1"}, now).route == "default/r"
    assert after["web"].evaluate({"x": "0"}, now).route == "default"
    await live.stop()


async def test_credentials_are_there_before_the_flow_takes_effect(store: Store, tmp_path: Path) -> None:
    await publish(store, tmp_path / "m", TEXT % "web")
    live = LiveFlow(store, role="all", types=load_types())
    seen: list[int] = []

    async def prepare() -> None:
        seen.append(len(live.program.integrations))

    live.before_change.append(prepare)
    await live.start()
    assert seen == [0]
    await live.stop()


class Broken(Store):
    """A store whose writes fail while `broken`: the database is gone."""

    broken = False

    async def write(self, fn):  # type: ignore[no-untyped-def]
        if self.broken:
            raise StoreUnavailable("gone")
        return await super().write(fn)


async def test_a_replica_that_cannot_renew_is_not_ready_and_recovers(tmp_path: Path) -> None:
    """It could enforce an old flow unseen, so it answers 503 until it can renew again."""
    store = await Broken.open(f"sqlite:///{tmp_path}/t.db", keys=KeyRing.from_file(tmp_path / "key"))
    assert isinstance(store, Broken)
    await publish(store, tmp_path / "m", TEXT % "web")
    clock = Clock()
    live = LiveFlow(store, role="receiver", types=load_types(), seconds=clock)
    await live.start()
    assert live.not_ready == ""
    store.broken = True
    clock.seconds += STALE_AFTER + 1
    assert live.not_ready == CANNOT_RENEW
    store.broken = False
    for _ in range(200):
        if not live.not_ready:
            break
        await asyncio.sleep(0.05)
    assert live.not_ready == ""
    await live.stop()
    await store.close()
