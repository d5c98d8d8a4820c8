"""The keys of the database come from one Secret, whoever makes it, and are never changed."""

from __future__ import annotations

import asyncio
import base64
import io
from pathlib import Path

import click
import pytest
from kube_secrets import Cabinet
from kube_server import FakeServer

from tocsin.cli import cluster
from tocsin.control.kubernetes import keys as module
from tocsin.control.kubernetes import login as logins
from tocsin.control.kubernetes.client import Api
from tocsin.control.kubernetes.keys import NoKeys, read_keys, wait_for_keys
from tocsin.store.keys import KeyRing
from tocsin.telemetry import Telemetry

PATH = "/api/v1/namespaces/n/secrets/tocsin-keys"


def telemetry() -> tuple[Telemetry, io.StringIO]:
    stream = io.StringIO()
    return Telemetry.create(stream=stream, process_metrics=False), stream


def with_keys(value: str) -> dict:
    return {"metadata": {}, "data": {"keys": base64.b64encode(value.encode()).decode()}}


async def test_the_first_replica_makes_one_random_key() -> None:
    """32 bytes in base64; the Secret says whose it is. Everybody after that gets the same."""
    cabinet = Cabinet()
    made = await read_keys(cabinet, "n", "tocsin-keys")
    assert len(base64.b64decode(made, validate=True)) == 32
    KeyRing.from_environment(made)
    stored = cabinet.objects[PATH]
    assert stored["data"].keys() == {"keys"}
    assert stored["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "tocsin"
    assert await read_keys(cabinet, "n", "tocsin-keys") == made
    assert await read_keys(Cabinet(), "n", "tocsin-keys") != made


async def test_a_replica_that_comes_second_takes_what_the_first_has_made() -> None:
    """Between its look and its own creation: its key is thrown away, not the other's."""
    cabinet = Cabinet()
    cabinet.between = lambda: cabinet.store(PATH, with_keys("theirs")) and None
    assert await read_keys(cabinet, "n", "tocsin-keys") == "theirs"
    assert cabinet.writes() == ["create /api/v1/namespaces/n/secrets"]


async def test_many_replicas_at_once_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over HTTP, all at the same moment."""
    async with FakeServer() as server, Api(server.login) as api:
        found = await asyncio.gather(*(read_keys(api, "n", "tocsin-keys") for _ in range(12)))
    assert len(set(found)) == 1


async def test_what_is_there_is_never_written() -> None:
    """Neither somebody's own keys nor a Secret without any: that one has to be mended by who made it."""
    cabinet = Cabinet()
    cabinet.store(PATH, with_keys("new,old"))
    assert await read_keys(cabinet, "n", "tocsin-keys") == "new,old"
    cabinet.store(PATH, {"metadata": {}, "data": {"other": "eA=="}})
    with pytest.raises(NoKeys, match="has no entry 'keys'"):
        await read_keys(cabinet, "n", "tocsin-keys")
    assert cabinet.writes() == []


async def test_it_waits_for_the_api_server_and_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused, then there: no restart is needed, and the log has one line for each reason, without the keys."""
    monkeypatch.setattr(module, "_RETRY", 0.01)
    told, stream = telemetry()
    async with FakeServer() as server:
        server.refused["secrets"] = 403
        waiting = asyncio.create_task(wait_for_keys(server.login, "tocsin-keys", told.log))
        async with asyncio.timeout(30):
            while len(server.requests) < 4:
                await asyncio.sleep(0.01)
        assert not waiting.done()
        del server.refused["secrets"]
        keys = await asyncio.wait_for(waiting, 30)
    assert stream.getvalue().count("waiting for the keys") == 1
    assert keys not in stream.getvalue()


def test_the_environment_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With TOCSIN_SECRET_KEY set no cluster is asked; without a Secret's name it is the file beside the database."""
    monkeypatch.setattr(logins, "login", lambda: pytest.fail("asked"))
    key = base64.b64encode(b"k" * 32).decode()
    monkeypatch.setenv("TOCSIN_SECRET_KEY", key)
    database = f"sqlite:///{tmp_path}/t.db"
    ring = cluster.cluster_keys(database, "tocsin-keys", telemetry()[0])
    assert ring.digest(b"x") == KeyRing.from_environment(key).digest(b"x")
    monkeypatch.delenv("TOCSIN_SECRET_KEY")
    cluster.cluster_keys(database, "", telemetry()[0])
    assert (tmp_path / "t.db.key").exists()


def test_a_key_file_moves_into_the_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What an earlier start encrypted with the file beside the database stays readable."""
    database = f"sqlite:///{tmp_path}/t.db"
    ciphertext = cluster.cluster_keys(database, "", telemetry()[0]).encrypt(b"token", "here")
    asked: list[str] = []

    async def wait(_login: object, name: str, _log: object, *, seed: str) -> str:
        asked.append(name)
        return seed

    monkeypatch.setattr(module, "wait_for_keys", wait)
    ring = cluster.cluster_keys(database, "tocsin-keys", telemetry()[0])
    assert ring.decrypt(ciphertext, "here") == b"token"
    assert asked == ["tocsin-keys"]


def test_keys_that_are_too_short_end_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one line that names the Secret, not the keys."""

    async def wait(*_: object, **__: object) -> str:
        return "short"

    monkeypatch.setattr(module, "wait_for_keys", wait)
    with pytest.raises(click.ClickException, match="the keys in Secret tocsin-keys cannot be used") as raised:
        cluster.cluster_keys("postgresql://db/x", "tocsin-keys", telemetry()[0])
    assert "short" not in raised.value.message
