"""Apprise in its own process: off unless enabled, bounded in time, silent about its URL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from aiohttp import web
from services import SECRET, Service, channel, close, message, start, tools

from tocsin.api.notificationchannel import ChannelTarget
from tocsin.flow.model import ChannelFragment, SecretKey
from tocsin.notify import apprise
from tocsin.notify.channel import Channel, DeliveryFailed, FailureReason
from tocsin.notify.factory import build
from tocsin.notify.message import Recipient

REF = {"apprise": {"urlSecretRef": {"name": "others", "key": "url"}}}


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    made = Service(rule=lambda *_: None, usual=lambda *_: web.json_response({}))
    runner = await start(made)
    yield made
    await runner.cleanup()
    await close()


def to(url: str) -> Channel:
    fragment = ChannelFragment(
        namespace="ops",
        name="others",
        target=msgspec.convert(REF, ChannelTarget),
        secrets={"apprise.urlSecretRef": SecretKey(namespace="ops", name="others", key="url")},
    )
    return build(fragment, {"apprise.urlSecretRef": url}, tools(apprise=True))


async def test_a_message_arrives(service: Service) -> None:
    """Title and text by Apprise's own JSON plugin."""
    await to(service.url.replace("http://", f"json://user:{SECRET}@")).send(message(), Recipient())
    (body,) = service.bodies
    assert body["title"] == "Disk full on db-1"
    assert "https://tocsin.example.org/groups/G12" in body["message"]


async def test_it_is_off_by_default(service: Service) -> None:
    """A channel that its operator did not enable says how to, and no process is started."""
    made = channel(REF, secrets=("apprise.urlSecretRef",))
    with pytest.raises(DeliveryFailed, match="--apprise") as failed:
        await made.send(message(), Recipient())
    assert failed.value.permanent


async def test_a_url_that_is_none(service: Service) -> None:
    """Permanent, and the URL is not repeated."""
    with pytest.raises(DeliveryFailed, match="cannot read the URL") as failed:
        await to(f"nosuch://{SECRET}").send(message(), Recipient())
    assert failed.value.permanent
    assert SECRET not in str(failed.value)


async def test_a_service_that_refuses(service: Service) -> None:
    """Tried again: Apprise does not tell why."""
    service.next = [web.Response(status=500)]
    with pytest.raises(DeliveryFailed) as failed:
        await to(service.url.replace("http://", "json://")).send(message(), Recipient())
    assert not failed.value.permanent


async def test_a_service_that_hangs_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is gone when the time is over."""
    monkeypatch.setattr(apprise, "TIME_LIMIT", 2.0)
    hold = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hold.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(DeliveryFailed) as failed:
        await to(f"json://127.0.0.1:{port}").send(message(), Recipient())
    assert failed.value.reason is FailureReason.TIMEOUT
    hold.set()
    server.close()
    await server.wait_closed()
    await close()
