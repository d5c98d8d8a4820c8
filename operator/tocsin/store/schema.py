"""Bringing a database to this version's schema, and refusing politely what a newer version made of it.

Migrations are numbered `0001`, `0002`, ... and expand first, contract a version later, so that version N-1 keeps
running on schema N. Each migration states in `COMPATIBLE_FROM` the oldest schema whose code still works after it; the
database remembers that, and code that is older than it refuses to start.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, select

from tocsin.store.errors import SchemaTooNew
from tocsin.store.tables import setting

COMPATIBLE_FROM = "schema.compatible_from"
DISGUISE_KEY = "ids.key"


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def head() -> str:
    """The newest schema that this version knows."""
    found = ScriptDirectory.from_config(_config()).get_current_head()
    assert found is not None
    return found


def version(connection: Connection) -> str | None:
    """The schema that the database has now; None if it has none."""
    return MigrationContext.configure(connection).get_current_revision()


def migrate(connection: Connection) -> None:
    """Bring the database up to `head()` in the caller's transaction; the caller holds the migration lock.

    Raises SchemaTooNew. A schema that is newer but states that this version still works with it is left alone.
    """
    present, newest = version(connection), head()
    if present is None or present < newest:
        command.upgrade(_config(connection), newest)
        script = ScriptDirectory.from_config(_config()).get_revision(newest)
        write_setting(connection, COMPATIBLE_FROM, str(script.module.COMPATIBLE_FROM).encode())
    elif present > newest:
        oldest = (read_setting(connection, COMPATIBLE_FROM) or present.encode()).decode()
        if oldest > newest:
            raise SchemaTooNew(
                f"the database has schema {present}, which needs a Tocsin that knows schema {oldest}; this one "
                f"knows {newest}: install the newer version again, or restore a backup from before the upgrade"
            )
    if read_setting(connection, DISGUISE_KEY) is None:
        write_setting(connection, DISGUISE_KEY, secrets.token_bytes(32))


def read_setting(connection: Connection, name: str) -> bytes | None:
    value = connection.scalar(select(setting.c.value).where(setting.c.name == name))
    return None if value is None else bytes(value)


def write_setting(connection: Connection, name: str, value: bytes) -> None:
    connection.execute(setting.delete().where(setting.c.name == name))
    connection.execute(setting.insert().values(name=name, value=value))


def has_tables(connection: Connection) -> bool:
    return inspect(connection).has_table("alert_group")
