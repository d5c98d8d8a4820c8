"""A replica follows what is published, says which revision it has loaded, and takes no traffic when it cannot know."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Connection, select

from tocsin.control.folder import Folder
from tocsin.control.publisher import Publisher
from tocsin.flow.model import digest_of, lines_digest
from tocsin.flow.program import Program
from tocsin.sources import load_types
from tocsin.store import dialects, revisions, tables
from tocsin.store.database import Store
from tocsin.store.errors import StoreUnavailable
from tocsin.store.keys import KeyRing
from tocsin.store.replica import CANNOT_RENEW, NOTHING_PUBLISHED, STALE_AFTER, UNREADABLE, LiveFlow
from tocsin.store.text import pack, unpack
from tocsin.telemetry import Telemetry

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
    seen: list[tuple[int, int]] = []

    async def prepare(coming: Program) -> None:
        seen.append((len(live.program.integrations), len(coming.integrations)))

    live.before_change.append(prepare)
    await live.start()
    assert seen == [(0, 1)]
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


def published_by_a_newer_one(connection: Connection, edit: Callable[[str, bytes], bytes]) -> None:
    """Makes the next revision out of the current one: `edit` is given each fragment and one of a kind nobody knows."""
    present = revisions.current(connection)
    assert present is not None
    names = {str(i): d for i, d in (revisions.manifest(connection, present.digest) or {}).items()}
    bodies = {
        name: connection.scalar(
            select(tables.fragment.c.body).where(tables.fragment.c.digest == bytes.fromhex(digest))
        )
        for name, digest in names.items()
    }
    bodies["Megaphone/default/loud"] = pack(b"{}")
    entries = {}
    for name, body in bodies.items():
        text = edit(name, unpack(bytes(body)))
        digest = digest_of(text)
        dialects.insert_missing(
            connection,
            tables.fragment,
            [{"digest": bytes.fromhex(digest), "body": pack(text), "created_at": 1}],
        )
        entries[name] = digest
    digest = lines_digest(entries)
    made = connection.execute(
        tables.manifest.insert().values(
            digest=bytes.fromhex(digest),
            base_id=None,
            depth=0,
            body=pack(msgspec.json.encode(entries, order="sorted")),
            created_at=1,
        )
    ).inserted_primary_key
    assert made is not None
    number = present.number + 1
    connection.execute(
        tables.revision.insert().values(number=number, manifest_id=made[0], epoch=1, published_at=1)
    )
    connection.execute(tables.leadership.update().values(revision=number))


async def test_kinds_and_fields_of_a_newer_version_are_left_out(store: Store, tmp_path: Path) -> None:
    """While one version replaces another, the newer operator publishes for older receivers, too."""
    await publish(store, tmp_path / "m", TEXT % "web" + ROUTE % "true")
    live = LiveFlow(store, role="receiver", types=load_types())
    await live.start()

    def edit(name: str, body: bytes) -> bytes:
        if name.startswith("Megaphone/"):
            return b'{"type":"Megaphone","volume":11}'
        return body[:-1] + b',"mood":{"of":"the day"}}'

    await store.write(lambda connection: published_by_a_newer_one(connection, edit))
    await live.refresh()
    assert (live.revision, live.not_ready) == (2, "")
    assert {i.kind for i in live.program.manifest} == {"Integration", "AlertRoute"}
    assert [i.name for i in live.program.integrations] == ["web"]
    await live.stop()


async def test_a_flow_that_cannot_be_read_leaves_the_last_one_in_force(store: Store, tmp_path: Path) -> None:
    """It is not acknowledged, so that statuses name this replica; one that starts on it is not ready and says why."""
    await publish(store, tmp_path / "m", TEXT % "web")
    log = io.StringIO()
    telemetry = Telemetry.create(stream=log, process_metrics=False)
    live = LiveFlow(store, role="receiver", types=load_types(), log=telemetry.log)
    await live.start()
    await store.write(
        lambda connection: published_by_a_newer_one(
            connection, lambda name, body: body.replace(b'"webhook"', b"7")
        )
    )
    async with asyncio.timeout(30):
        while not log.getvalue():
            await asyncio.sleep(0.01)
    assert '"revision": 2' in log.getvalue() and '"enforced": 1' in log.getvalue()
    assert (live.revision, live.not_ready) == (1, "")
    late = LiveFlow(store, role="receiver", types=load_types())
    await late.start()
    assert late.not_ready == UNREADABLE
    found = await store.read(revisions.live_replicas)
    assert sorted(replica.revision for replica in found) == [0, 1]
    await publish(store, tmp_path / "m", TEXT % "other")
    for one in (live, late):
        await one.refresh()
        assert (one.revision, one.not_ready) == (3, "")
        await one.stop()
