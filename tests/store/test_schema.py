"""Migrations, and versions of Tocsin that meet a schema of another."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from storing import KEYS, all_groups, send

from tocsin.store import SchemaTooNew, Store, schema
from tocsin.store.tables import metadata


async def test_an_empty_database_gets_the_schema(store: Store) -> None:
    """The migrations make exactly what `tables` declares: columns, types, keys and indexes."""

    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = compare_metadata(context, metadata)
        return [one for one in found if "alembic_version" not in repr(one)]

    assert await store.read(schema.version) == schema.head()
    assert await store.read(differences) == []


async def test_partial_indexes_are_partial(store: Store) -> None:
    """A plain index in their place would pass the comparison and be slow, or refuse resolved groups."""
    if store.dialect == "sqlite":
        text = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    else:
        text = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
    found = dict(await store.read(lambda c: c.exec_driver_sql(text).all()))
    partial = {name for name, definition in found.items() if " WHERE " in definition.upper()}
    assert partial == {
        "ux_alert_group_open",
        "ix_alert_group_grouping_key",
        "ix_alert_group_firing",
        "ix_alert_group_acknowledged",
        "ix_alert_group_silenced",
        "ix_alert_group_resolved_at",
        "ix_alert_group_parent_id",
        "ix_alert_shared_payload",
        "ix_window_occurrence_running",
        "ix_escalation_resume_at",
        "ix_escalation_paused",
        "ix_personal_resume_at",
        "ix_delivery_due_at",
        "ix_delivery_finished_at",
        "ix_posted_open",
    }


async def test_opening_again_changes_nothing(url: str) -> None:
    """Data and the key that disguises ids stay."""
    store = await Store.open(url, keys=KEYS)
    stored = await send(store)
    await store.close()
    store = await Store.open(url, keys=KEYS)
    (found,) = await all_groups(store)
    assert found.public_id == stored.alert_group_id
    assert (await send(store, seconds=1)).alert_group_id == stored.alert_group_id
    await store.close()


async def test_a_newer_schema_that_still_suits_us_is_used_as_it_is(url: str) -> None:
    """Version N-1 runs on schema N: nothing is migrated back, work goes on."""
    store = await Store.open(url, keys=KEYS)
    await store.write(lambda c: c.exec_driver_sql("UPDATE alembic_version SET version_num = '9998'"))
    await store.write(lambda c: c.exec_driver_sql("ALTER TABLE alert_group ADD COLUMN mood TEXT"))
    await store.close()
    store = await Store.open(url, keys=KEYS)
    await send(store)
    assert await store.read(schema.version) == "9998"
    assert len(await all_groups(store)) == 1
    await store.close()


async def test_a_newer_schema_that_does_not_is_refused(url: str) -> None:
    """With one line that names both versions and what to do, and the file is free again."""
    store = await Store.open(url, keys=KEYS)
    await store.write(lambda c: c.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'"))
    await store.write(lambda c: schema.write_setting(c, schema.COMPATIBLE_FROM, b"9998"))
    await store.close()
    for _ in range(2):
        with pytest.raises(
            SchemaTooNew, match=rf"schema 9999, .* 9998; this one knows {schema.head()}"
        ) as refused:
            await Store.open(url, keys=KEYS)
        assert "\n" not in str(refused.value)


async def test_processes_that_start_together_migrate_once(postgresql_url: str) -> None:
    """Five at the same moment on an empty database: all work, on one schema and one key."""
    stores = await asyncio.gather(*[Store.open(postgresql_url, keys=KEYS, role="receiver") for _ in range(5)])
    assert len({store.disguise.id_of("I", 1) for store in stores}) == 1
    for store in stores:
        await send(store)
    (found,) = await all_groups(stores[0])
    assert found.alerts_count == 5
    for store in stores:
        await store.close()


def test_migrations_state_what_they_need() -> None:
    """Numbered without a gap, each with the oldest schema whose code still works after it, and packaged."""
    versions = sorted(Path(schema.__file__).parent.joinpath("migrations/versions").glob("[0-9]*.py"))
    assert [path.name[:4] for path in versions] == [f"{n:04}" for n in range(1, len(versions) + 1)]
    assert all("\nCOMPATIBLE_FROM = " in path.read_text() for path in versions)
    assert schema.head() == versions[-1].name[:4]
