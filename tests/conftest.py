"""A real PostgreSQL for the whole session, started on first use, and one empty database per test."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

INSTALL = (
    "PostgreSQL 15 or newer is needed for these tests: install it (Debian and Ubuntu: `apt-get install postgresql`), "
    "its programs are looked for on PATH and in /usr/lib/postgresql/*/bin"
)


def _programs() -> Path:
    found = shutil.which("initdb")
    if found is not None and (Path(found).resolve().parent / "postgres").exists():
        return Path(found).resolve().parent
    versions = sorted(
        (p for p in Path("/usr/lib/postgresql").glob("*/bin") if (p / "postgres").exists()),
        key=lambda p: int(p.parent.name),
    )
    if not versions:
        pytest.fail(INSTALL, pytrace=False)
    return versions[-1]


class PostgresqlServer:
    """One server with its own data directory, on a loopback port. It refuses to run as root, so root steps down."""

    def __init__(self) -> None:
        self._programs = _programs()
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self._home = Path(tempfile.mkdtemp(prefix="tocsin-postgresql-", dir=memory))
        self._data = self._home / "data"
        self._numbers = itertools.count(1)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        if os.geteuid() == 0:
            shutil.chown(self._home, "postgres", "postgres")
        self._run(
            "initdb", "-D", str(self._data), "-A", "trust", "-U", "tocsin", "-E", "UTF8", "--locale=C", "-N"
        )
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        if os.geteuid() == 0:
            command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--", *command]
        done = subprocess.run(
            command, cwd=self._home, capture_output=True, text=True, check=False, timeout=60
        )
        if done.returncode != 0:
            pytest.fail(f"{program} failed: {done.stdout[-2000:]} {done.stderr[-2000:]}", pytrace=False)

    def start(self) -> None:
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._home} -c fsync=off "
            "-c full_page_writes=off -c max_connections=100 -c shared_buffers=32MB -c deadlock_timeout=200ms"
        )
        self._run(
            "pg_ctl",
            "-D",
            str(self._data),
            "-l",
            str(self._home / "log"),
            "-o",
            options,
            "-w",
            "-t",
            "30",
            "start",
        )

    def stop(self) -> None:
        """Pull the plug: no goodbye to clients."""
        self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "stop")

    def url(self, database: str) -> str:
        return f"postgresql://tocsin@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The URL of an empty database."""
        name = f"test_{next(self._numbers)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def dump(self, url: str) -> str:
        """Schema and rows as SQL that any client can send, without settings of the session."""
        command = [str(self._programs / "pg_dump"), "--inserts", "--no-owner", "--no-privileges", url]
        text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
        session = ("--", "SET ", "SELECT pg_catalog.set_config", "\\restrict", "\\unrestrict")
        return "\n".join(line for line in text.splitlines() if line and not line.startswith(session)) + "\n"

    def restore(self, url: str, sql: str) -> None:
        """What `dump` gave, into an empty database."""
        with psycopg.connect(url) as connection:
            connection.execute(sql.encode())

    def drop_database(self, url: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self._home, ignore_errors=True)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    server = PostgresqlServer()
    yield server
    server.close()


@pytest.fixture
def postgresql_url(postgresql_server: PostgresqlServer) -> Iterator[str]:
    """The URL of an empty database, dropped afterwards."""
    url = postgresql_server.new_database()
    yield url
    postgresql_server.drop_database(url)
