"""The alertmanager channel against a real Alertmanager."""

from __future__ import annotations

import asyncio
import base64
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession, web
from services import SECRET, Service, channel, close, message, start

from tocsin.flow.groups import State
from tocsin.notify.channel import DeliveryFailed, FailureReason
from tocsin.notify.message import Recipient


@pytest.fixture
async def alertmanager(tmp_path: Path) -> AsyncIterator[str]:
    binary = shutil.which("prometheus-alertmanager")
    assert binary, "prometheus-alertmanager is missing: apt-get install it (make services does it)"
    (tmp_path / "am.yml").write_text("route: {receiver: none}\nreceivers: [{name: none}]\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        binary,
        f"--config.file={tmp_path}/am.yml",
        f"--storage.path={tmp_path}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        async with ClientSession() as session, asyncio.timeout(30):
            while not await _ready(session, url):
                await asyncio.sleep(0.05)
        yield url
    finally:
        process.kill()
        process.wait(10)
        await close()


async def _ready(session: ClientSession, url: str) -> bool:
    try:
        async with session.get(f"{url}/-/ready") as answer:
            return answer.status == 200
    except ClientError:
        return False


async def alerts(url: str) -> list[dict[str, Any]]:
    async with ClientSession() as session, session.get(f"{url}/api/v2/alerts") as answer:
        found: list[dict[str, Any]] = await answer.json()
        return found


async def test_a_group_becomes_one_alert_and_ends_with_it(alertmanager: str) -> None:
    """Labels as they are (names made valid), one alert for all that is said of a group, gone when it is resolved."""
    made = channel({"alertmanager": {"urls": [alertmanager]}})
    labels = (("severity", "critical"), ("k8s.io/name", "db-1"), ("1st", "x"))
    sent = await made.send(message(labels=labels), Recipient())
    await made.update(message(labels=labels, state=State.ACKNOWLEDGED, key="other"), sent.reference)
    (alert,) = await alerts(alertmanager)
    assert alert["labels"] == {
        "alertname": "Prometheus of payments",
        "integration": "Prometheus of payments",
        "tocsin_group": "G12ABC",
        "severity": "critical",
        "k8s_io_name": "db-1",
        "_1st": "x",
    }
    assert alert["annotations"]["summary"] == "Acknowledged by the source: Disk full on db-1"
    assert alert["generatorURL"] == "https://tocsin.example.org/groups/G12"
    await made.update(message(labels=labels, state=State.RESOLVED), sent.reference)
    assert await alerts(alertmanager) == []


async def test_one_peer_is_enough(alertmanager: str) -> None:
    """Peers tell each other: a dead one beside it does no harm; if all are dead the message failed."""
    made = channel({"alertmanager": {"urls": ["http://127.0.0.1:9", alertmanager + "/"]}})
    await made.send(message(), Recipient())
    assert len(await alerts(alertmanager)) == 1
    with pytest.raises(DeliveryFailed) as failed:
        await channel({"alertmanager": {"urls": ["http://127.0.0.1:9"]}}).send(message(), Recipient())
    assert not failed.value.permanent


async def test_what_alertmanager_refuses_is_said(alertmanager: str) -> None:
    """A wrong path is permanent and named."""
    made = channel({"alertmanager": {"urls": [f"{alertmanager}/elsewhere"]}})
    with pytest.raises(DeliveryFailed, match="answered 404") as failed:
        await made.send(message(), Recipient())
    assert failed.value.permanent


@pytest.mark.parametrize("kind", ["basic", "bearer"])
async def test_credentials(kind: str) -> None:
    """Basic or Bearer, from Secrets."""
    service = Service(rule=lambda *_: None, usual=lambda *_: web.json_response({}))
    runner = await start(service)
    spec: dict[str, Any] = {"urls": [service.url]}
    if kind == "basic":
        spec |= {"username": "tocsin", "passwordSecretRef": {"name": "am", "key": "token"}}
    else:
        spec["bearerSecretRef"] = {"name": "am", "key": "token"}
    path = "alertmanager.passwordSecretRef" if kind == "basic" else "alertmanager.bearerSecretRef"
    made = channel({"alertmanager": spec}, secrets=(path,))
    await made.send(message(), Recipient())
    given = service.headers[0]["Authorization"]
    basic = "Basic " + base64.b64encode(f"tocsin:{SECRET}".encode()).decode()
    assert given == (basic if kind == "basic" else f"Bearer {SECRET}")
    service.next = [web.Response(status=401, text=SECRET)]
    with pytest.raises(DeliveryFailed) as failed:
        await made.send(message(), Recipient())
    assert failed.value.reason is FailureReason.AUTH_ERROR
    assert SECRET not in str(failed.value)
    await runner.cleanup()
    await close()
