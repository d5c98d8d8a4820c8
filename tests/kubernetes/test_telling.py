"""Those who are told, on a cluster: their Secrets are read, they are live, and their statuses say who is on call."""

from __future__ import annotations

import base64
from typing import Any

from kube_operator import Start, condition, is_ready, until
from kube_server import FakeServer

from tocsin.api.common import Identity
from tocsin.control.kubernetes import shift
from tocsin.control.kubernetes.programmed import Programmed
from tocsin.flow.model import Micros
from tocsin.store import channelhealth, clock, credentials
from tocsin.store.replicas import Replica

CHANNEL = {"slack": {"channel": "#ops", "tokenSecretRef": {"name": "slack", "key": "token"}}}
ADA = {"contacts": [{"name": "chat", "channelRef": {"name": "chat"}}]}
LAYER = {
    "name": "always",
    "start": "2026-01-01T00:00",
    "participants": [{"responderRefs": [{"name": "ada"}]}],
}
CHAIN = {"steps": [{"notifyOnCall": {"scheduleRef": {"name": "primary"}}}]}


def declare(server: FakeServer) -> None:
    server.put("secrets", "slack", data={"token": base64.b64encode(b"xoxb-1").decode()})
    server.put("notificationchannels", "chat", spec=CHANNEL)
    server.put("responders", "ada", spec=ADA)
    server.put("oncallschedules", "primary", spec={"layers": [LAYER]})
    server.put("escalationchains", "all", spec=CHAIN)


async def test_they_are_live_and_say_so(server: FakeServer, start: Start) -> None:
    """From five objects to targets of the running flow; the credential that a channel names is in the store."""
    declare(server)
    async with start() as tocsin:
        for plural, name in (
            ("notificationchannels", "chat"),
            ("responders", "ada"),
            ("oncallschedules", "primary"),
            ("escalationchains", "all"),
        ):
            await until(lambda plural=plural, name=name: is_ready(server, plural, name))
        await until(lambda: "onCall" in server.status("oncallschedules", "primary"))
        targets = tocsin.live.program.targets
        assert set(targets.chains) == {"n/all"}
        assert set(targets.responders) == {"n/ada"}
        status = server.status("oncallschedules", "primary")
        assert (status["onCall"], status.get("next"), status.get("nextHandover")) == (["n/ada"], None, None)
        assert server.status("escalationchains", "all")["steps"] == 1
        assert server.status("notificationchannels", "chat")["type"] == "slack"
        assert server.status("responders", "ada")["contacts"] == 1
        values = await tocsin.store.read(lambda c: credentials.load_secrets(c, tocsin.store.keys))
        assert values == {("n", "slack", "token"): b"xoxb-1"}


async def test_a_secret_that_is_missing_is_said_until_it_comes(
    server: FakeServer, start: Start, monkeypatch: Any
) -> None:
    monkeypatch.setattr(shift, "REFRESH_EVERY", 0.2)
    server.put("notificationchannels", "chat", spec=CHANNEL)
    async with start():
        await until(lambda: condition(server, "notificationchannels", "chat", "ResolvedRefs")[0] == "False")
        server.put("secrets", "slack", data={"token": base64.b64encode(b"xoxb-1").decode()})
        await until(lambda: is_ready(server, "notificationchannels", "chat"))


async def test_who_is_on_call_changes_with_the_person(server: FakeServer, start: Start) -> None:
    """Somebody who is deleted is not on call any more, and the schedule says whom it misses."""
    declare(server)
    async with start():
        await until(lambda: server.status("oncallschedules", "primary").get("onCall") == ["n/ada"])
        server.delete("responders", "ada")
        await until(lambda: not server.status("oncallschedules", "primary").get("onCall"))
        assert condition(server, "oncallschedules", "primary", "ResolvedRefs")[:2] == ("False", "RefNotFound")


async def test_a_channel_that_fails_says_why(server: FakeServer, start: Start, monkeypatch: Any) -> None:
    """What dispatchers write into the store reaches the status, and goes with the next success."""
    monkeypatch.setattr(shift, "OBSERVE_EVERY", 0.1)
    declare(server)
    async with start() as tocsin:
        await until(lambda: is_ready(server, "notificationchannels", "chat"))
        await tocsin.store.write(
            lambda c: channelhealth.failure(
                c, "n/chat", clock.now(c), reason="authError", error="the token was revoked"
            )
        )
        await until(lambda: condition(server, "notificationchannels", "chat", "DeliveryFailing")[0] == "True")
        status = server.status("notificationchannels", "chat")
        assert status["lastError"] == "authError: the token was revoked"
        assert status["failingSince"]
        assert is_ready(server, "notificationchannels", "chat")
        await tocsin.store.write(lambda c: channelhealth.success(c, "n/chat", clock.now(c)))
        await until(lambda: not condition(server, "notificationchannels", "chat", "DeliveryFailing")[0])
        assert server.status("notificationchannels", "chat")["lastSent"]


def replica(name: str, revision: int, role: str) -> Replica:
    return Replica(
        id=name, role=role, version="1", revision=revision, registered_at=Micros(0), renewed_at=Micros(0)
    )


def test_dispatchers_prove_them() -> None:
    """Receivers do not: they never look at a chain."""
    chain, programmed = Identity("EscalationChain", "n", "c"), Programmed()
    programmed.publish(chain, "u", 1, revision=5, now=0.0)
    programmed.acknowledge([replica("r", 5, "receiver")], 0.0)
    nobody = programmed.of(chain, 1)
    assert (nobody.programmed, nobody.reason) == (False, "NoReceivers")
    assert nobody.message.startswith("no dispatcher is running")
    programmed.acknowledge([replica("r", 5, "receiver"), replica("d", 4, "dispatcher")], 1.0)
    assert programmed.of(chain, 1).message == "not all running dispatchers have loaded this generation yet"
    programmed.acknowledge([replica("r", 4, "receiver"), replica("d", 5, "dispatcher")], 2.0)
    proven = programmed.of(chain, 1)
    assert proven.programmed
    again = Programmed()
    again.remember(chain, "u", 1)
    assert again.of(chain, 1) == proven
