"""What came of an attempt is written down whatever a vendor answers, and one that cannot be harms no other."""

from __future__ import annotations

import asyncio

import sqlalchemy
from aiosmtpd.handlers import Sink as Mailbox
from aiosmtpd.smtp import SMTP
from delivering import Make, Sink, World, integration, obj

from tocsin.flow.groups import LogKind
from tocsin.store import logbook


async def receipts(w: World, number: int) -> list[str]:
    found = await w.store.read(lambda c: logbook.list_entries(c, number, limit=100))
    return [entry.details["receipt"] for entry in found if entry.kind is LogKind.DELIVERED]


async def test_a_mail_is_recorded_with_its_message_id(world: Make, sink: Sink, engine: str) -> None:
    """A real mail server took it: delivered, once, and the group's log names the mail."""
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(Mailbox()), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    spec = {
        "host": "127.0.0.1",
        "port": port,
        "tls": "None",
        "from": "t@example.org",
        "to": ["o@example.org"],
    }
    w = await world(integration(), obj("NotificationChannel", "mail", email=spec))
    stored = await w.alert()
    key = await w.order("group", "mail", stored.number)
    assert await w.send() == 1
    assert await w.states() == {key: "delivered"}
    (receipt,) = await receipts(w, stored.number)
    assert receipt.endswith("@example.org>")
    server.close()


async def test_a_receipt_may_be_any_text(world: Make, sink: Sink, engine: str) -> None:
    """A NUL, as a Slack would never say it: PostgreSQL does not take it as it is."""
    w = await world(integration(), sink.slack("chat"), slack="token")
    stored = await w.alert()
    key = await w.order("group", "chat", stored.number)
    sink.documents["chat"] = {"ok": True, "channel": "C1", "ts": "1.\x00"}
    assert await w.send() == 1
    assert await w.states() == {key: "delivered"}
    assert await receipts(w, stored.number) == ["1.\ufffd"]


async def test_one_that_cannot_be_recorded_is_given_up(world: Make, sink: Sink) -> None:
    """The database refuses what came of one of three messages: the others are recorded as they ended, that one has
    failed, and none is sent again.
    """
    w = await world(integration(), sink.channel("ops"))
    numbers = [(await w.alert(n=n)).number for n in range(3)]
    keys = [await w.order("group", "ops", number) for number in numbers]
    refuse = f"""
        CREATE TRIGGER refuse BEFORE INSERT ON log_entry
        WHEN NEW.group_id = {numbers[1]} AND NEW.kind = {LogKind.DELIVERED.value}
        BEGIN SELECT RAISE(ABORT, 'no'); END
    """
    await w.store.write(lambda c: c.execute(sqlalchemy.text(refuse)))
    assert await w.send() == 3
    assert await w.states() == {keys[0]: "delivered", keys[1]: "failed", keys[2]: "delivered"}
    assert (await w.delivery(keys[1])).error == "what came of it could not be recorded: see Tocsin's log"
    assert await w.after(3600) == 0
    assert len(sink.hits) == 3
