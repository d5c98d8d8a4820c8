"""What was acknowledged is there: after kill -9, after a full disk, after the database went away and came back."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import psycopg
import pytest
from storing import KEYS, all_groups, arrival, at, group, send, send_together

from tocsin.flow.groups import State
from tocsin.store import NotStorable, Store, StoreLocked, StoreUnavailable, alerts
from tocsin.store.sqlite import Sqlite

WRITER = Path(__file__).with_name("writer.py")


async def test_kill_nine_loses_nothing_that_was_acknowledged(sqlite_url: str) -> None:
    """A writer under load is killed at once, three times over the same file.

    Every alert whose future had resolved is there, exactly once; of the rest each is there once or not at all, and
    every count equals the alerts of its group.
    """
    acknowledged: list[str] = []
    for run in range(3):
        process = subprocess.Popen(
            [sys.executable, str(WRITER), sqlite_url, str(run)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        for line in process.stdout:
            acknowledged.append(line.strip())
            if len(acknowledged) >= 400 * (run + 1):
                process.send_signal(signal.SIGKILL)
                break
        # what the pipe still holds was written before the kill, so it was durable by then; a torn last line was not
        acknowledged += [line.strip() for line in process.stdout if line.endswith("\n")]
        process.wait()
        process.stdout.close()
    store = await Store.open(sqlite_url, keys=KEYS)
    page = await store.read(lambda c: alerts.list_alerts(c, limit=1_000_000))
    found = Counter(one.outcome.title for one in page.items)
    assert len(acknowledged) == len(set(acknowledged)) >= 1200
    assert set(acknowledged) <= found.keys()
    assert set(found.values()) == {1}
    counts = Counter(one.group for one in page.items)
    assert {one.number: one.alerts_count for one in await all_groups(store)} == dict(counts)
    await store.close()


@pytest.fixture
def full_disk(folder: Path) -> str:
    """A file of limited size on SQLite: what the engine meets on a full disk is the same error."""
    return f"sqlite:///{folder / 'full.db'}"


async def test_a_full_disk_refuses_and_recovers(full_disk: str) -> None:
    """StoreUnavailable for all of the request, nothing half-written, and work as before once there is room again."""
    store = await Store.open(full_disk, keys=KEYS)
    first = await send(store)
    pages = await store.write(lambda c: c.exec_driver_sql("PRAGMA page_count").scalar())
    await store.write(lambda c: c.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}").scalar())
    large = [arrival("large", n, payload=os.urandom(40_000)) for n in range(4)]
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match="full"):
            await store.ingest(tuple(large))
        with pytest.raises(StoreUnavailable):
            await store.write(
                lambda c: c.exec_driver_sql("INSERT INTO setting VALUES ('x', zeroblob(100000))")
            )
    assert [one.number for one in await all_groups(store)] == [first.number]
    assert len((await store.read(alerts.list_alerts)).items) == 1
    await store.write(lambda c: c.exec_driver_sql("PRAGMA max_page_count = 100000").scalar())
    stored = await store.ingest(tuple(large))
    assert [(one.number, one.created) for one in stored] == [(2, True)] + [(2, False)] * 3
    assert (await send(store, seconds=1)).number == first.number
    assert [one.alerts_count for one in await all_groups(store)] == [2, 4]
    await store.close()


async def test_a_file_size_limit_refuses_and_recovers(sqlite_url: str) -> None:
    """The same with the operating system's own refusal to write (RLIMIT_FSIZE), in a process of its own."""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, str(WRITER), sqlite_url, "limited"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stdout.split() == ["stored", "unavailable", "unavailable", "stored", "2"], done.stderr


async def test_one_process_per_file(sqlite_store: Store, sqlite_url: str) -> None:
    """The second is told who holds it and what to use instead; a split role is refused at once."""
    with pytest.raises(StoreLocked, match=rf"held by process {os.getpid()}: .*PostgreSQL"):
        await Store.open(sqlite_url, keys=KEYS)
    with pytest.raises(StoreLocked, match=r"role receiver .* PostgreSQL"):
        await Store.open(sqlite_url, keys=KEYS, role="receiver")


async def test_a_closed_store_refuses(sqlite_url: str) -> None:
    """Closing finishes what waits; after it everything is StoreUnavailable, and the file is free for the next."""
    store = await Store.open(sqlite_url, keys=KEYS)
    waiting = [store.ingest((arrival(str(n)),)) for n in range(50)]
    await store.close()
    assert all(len(stored) == 1 for stored in await asyncio.gather(*waiting))
    with pytest.raises(StoreUnavailable):
        await store.ingest((arrival(),))
    with pytest.raises(StoreUnavailable):
        await store.write(lambda _: None)
    again = await Store.open(sqlite_url, keys=KEYS)
    assert len(await all_groups(again)) == 50
    await again.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite://", "SQLite needs a file"),
        ("mysql://x/y", "no support for mysql"),
        ("nonsense", "cannot be read"),
        ("sqlite:////nowhere/at/all.db", "nowhere"),
    ],
)
async def test_urls_that_cannot_be_opened(url: str, message: str) -> None:
    """One line that says what to write."""
    with pytest.raises(StoreUnavailable, match=message) as failed:
        await Store.open(url, keys=KEYS)
    assert "\n" not in str(failed.value)


async def test_a_lost_server_refuses_and_recovers(postgresql_server, postgresql_store: Store) -> None:
    """Everything is StoreUnavailable while PostgreSQL is away and works, with the state from before, once it is back."""
    store = postgresql_store
    first = await send(store)
    postgresql_server.stop()
    try:
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="PostgreSQL cannot be used now"):
                await store.ingest((arrival(), arrival("other")))
            with pytest.raises(StoreUnavailable):
                await all_groups(store)
            with pytest.raises(StoreUnavailable):
                await store.write(lambda c: c.exec_driver_sql("SELECT 1"))
    finally:
        postgresql_server.start()
    again = await send(store, seconds=1)
    assert (again.number, again.created) == (first.number, False)
    assert [one.alerts_count for one in await all_groups(store)] == [2]


async def test_a_server_that_is_not_there(postgresql_url: str) -> None:
    """Opening fails with one line and without the password."""
    url = postgresql_url.replace("tocsin@", "tocsin:hunter2@").replace(":", ":", 1)
    gone = url.rpartition(":")[0] + ":1/nothing"
    with pytest.raises(StoreUnavailable) as failed:
        await Store.open(gone, keys=KEYS)
    assert "hunter2" not in str(failed.value)
    assert "\n" not in str(failed.value)


async def test_a_terminated_connection_is_replaced(postgresql_store: Store, postgresql_url: str) -> None:
    """An administrator ends all our connections: at most one request fails, none is half-done."""
    store = postgresql_store
    await send(store)
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert (await send(store, seconds=1)).number == 1
    assert [one.alerts_count for one in await all_groups(store)] == [2]


async def test_one_alert_cannot_fail_its_neighbours(store: Store) -> None:
    """Of many that wait together, the one that no database can hold fails alone, and as NotStorable."""
    fine = [arrival(str(n)) for n in range(5)]
    wrong = arrival("wrong", expires_at=2**70)
    answers = await asyncio.gather(
        *[store.ingest((one,)) for one in (*fine[:3], wrong, *fine[3:])], return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [tuple] * 3 + [NotStorable] + [tuple] * 2
    with pytest.raises(NotStorable):
        await store.ingest((arrival("with it"), wrong))
    assert [one.title for one in await all_groups(store)] == [f"{n} is high" for n in range(5)]
    assert (await send(store, "3", 1)).created is False


async def test_text_that_databases_refuse(store: Store) -> None:
    """NUL and lone surrogates in any text are stored as U+FFFD; lists and filters work after it (BUG-013)."""
    bad = "a\x00b\ud800c"
    stored = await send(
        store,
        bad,
        title=bad,
        labels=((f"key{bad}", bad),),
        payload=b'{"description":"CPU \\u0000"}',
        duplicate_key=b"\x00" * 64,
    )
    assert (await send(store, bad, 1)).number == stored.number
    (found,) = await all_groups(store, labels=(("keya\ufffdb\ufffdc", "a\ufffdb\ufffdc"),))
    assert found.title == "a\ufffdb\ufffdc"
    (one, _) = (await store.read(alerts.list_alerts)).items[::-1]
    assert one.outcome.grouping_id == "a\ufffdb\ufffdc"
    assert await store.read(lambda c: alerts.payload_of(c, one.id)) == b'{"description":"CPU \\u0000"}'
    assert (await send(store, bad, 2, resolve=True)).state is State.RESOLVED


async def test_outcomes_stay_small(store: Store) -> None:
    """At most 4 KiB whatever the templates rendered: the longest texts are cut, and a note says so."""
    long = "ü" * 50_000
    await send(store, long, title=long)
    (one,) = (await store.read(alerts.list_alerts)).items
    assert one.outcome.notes == ("truncated",)
    assert one.outcome.title.startswith("üüü")
    assert len((await all_groups(store))[0].title) == 1500
    assert (await send(store, long, 1)).created is False


async def test_what_is_remembered_is_what_is_stored(sqlite_store: Store, sqlite_url: str) -> None:
    """SQLite's memory of open groups follows every other writer: the same answers after reopening as before."""
    numbers = [one.number for one in await send_together(sqlite_store, *[arrival(str(n)) for n in range(20)])]
    await sqlite_store.write(
        lambda c: c.exec_driver_sql(
            "UPDATE alert_group SET state = 3, resolved_at = 1, resolved_cause = 'user', resolved_by = '' "
            "WHERE id % 2 = 0"
        )
    )
    stored = await send_together(sqlite_store, *[arrival(str(n), 1) for n in range(20)])
    assert [one.created for one in stored] == [number % 2 == 0 for number in numbers]
    assert len(await all_groups(sqlite_store, states=(State.FIRING,))) == 20


def test_busy_is_unavailable(folder: Path) -> None:
    """Somebody with a database browser holds a lock for longer than we wait: 503, not a crash; then all is well."""
    backend = Sqlite(folder / "busy.db")
    backend.write(lambda c: c.exec_driver_sql("PRAGMA busy_timeout = 50").scalar())
    other = sqlite3.connect(folder / "busy.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked"):
        backend.ingest([(arrival(),)])
    other.execute("ROLLBACK")
    other.close()
    assert backend.ingest([(arrival(),)])
    backend.close()


async def test_times_are_microseconds(store: Store) -> None:
    """What goes in comes out, to the microsecond."""
    await send(store, seconds=0.000001)
    assert (await group(store, 1)).started_at == at(0) + 1
