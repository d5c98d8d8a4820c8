"""From manifests that are applied to a message that arrives, with nothing but what the chart tells its pods."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from cluster_pods import Pods, Sink
from cluster_world import DISK, WEB, World, declared, until
from cluster_world import request as ask


def tells(world: World, sink: Sink) -> None:
    """A person, two channels of which one leads where nothing may go, and the chain between them and alerts."""
    world.kubectl("create", "secret", "generic", "hook", f"--from-literal=url={sink.url('person')}")
    contact = {"name": "hook", "channelRef": {"name": "person"}, "address": "ann-42"}
    world.apply(
        declared(
            "NotificationChannel", "person", {"webhook": {"urlSecretRef": {"name": "hook", "key": "url"}}}
        ),
        declared("NotificationChannel", "room", {"webhook": {"url": sink.url("room")}}),
        declared("NotificationChannel", "inside", {"webhook": {"url": sink.url("inside", "127.0.0.2")}}),
        declared("Responder", "ann", {"contacts": [contact], "rules": {"default": [{"notify": "hook"}]}}),
        declared(
            "EscalationChain", "page", {"steps": [{"notifyResponders": {"responderRefs": [{"name": "ann"}]}}]}
        ),
        declared("Integration", "web", WEB),
        declared(
            "AlertRoute",
            "disk",
            {
                **DISK,
                "escalationChainRef": {"name": "page"},
                "chatops": [{"channelRef": {"name": "room"}}, {"channelRef": {"name": "inside"}}],
            },
        ),
    )
    channels = [f"notificationchannel/{name}" for name in ("person", "room", "inside")]
    world.wait_ready(*channels, "responder/ann", "escalationchain/page", "integration/web", "alertroute/disk")


TELLING = (
    "outgoing.allow={127.0.0.1}",
    "consoleUrl=https://tocsin.example.org",
    "watchdog.existingSecret=dog",
)


@pytest.mark.parametrize("mode", ["one pod", "scaled"])
def test_an_alert_becomes_messages(
    mode: str, installed: Callable[..., Pods], world: World, sink: Sink, request: pytest.FixtureRequest
) -> None:
    """From manifests that are applied to what arrives: in the channel, for the person, and nowhere that no value allows."""
    world.kubectl("create", "secret", "generic", "dog", f"--from-literal=url={sink.url('watchdog')}")
    if mode == "scaled":
        database = request.getfixturevalue("postgresql_url")
        world.kubectl("create", "secret", "generic", "pg", f"--from-literal=url={database}")
        pods = installed("mode=scaled", "database.existingSecret=pg", *TELLING)
        pods.start("tocsin-operator", account=True)
        until(lambda: pods.waits_for("tocsin-receiver") == [], "the keys are there")
        receiver = pods.start("tocsin-receiver")
        pods.start("tocsin-dispatcher")
    else:
        pods = installed(*TELLING)
        receiver = pods.start("tocsin", account=True)
    tells(world, sink)
    token = base64.b64decode(world.get("secret", "web-endpoint")["data"]["token"]).decode()
    url = f"http://127.0.0.1:{receiver['TOCSIN_LISTEN']}/integrations/v1/webhook/{token}/"
    assert ask("POST", url, {"kind": "disk", "title": "Disk full"}).status == 200

    until(lambda: sink.kinds("room") and sink.kinds("person"), "the channel and the person are told")
    ((_, told),) = [one for one in sink.got if one[0] == "/person"]
    assert (told["kind"], told["recipient"]["address"]) == ("personal", "ann-42")
    assert told["link"].startswith("https://tocsin.example.org/alert-groups/")
    assert sink.kinds("room") == ["group"]
    until(lambda: sink.kinds("watchdog"), "the watchdog's URL is asked", seconds=90)
    if mode == "scaled":  # the operator hears of it through the store, once a minute
        until(
            lambda: world.condition("nchan", "inside", "DeliveryFailing")[0] == "True",
            "the status says so",
            seconds=90,
        )
        (refused,) = (
            c["message"]
            for c in world.get("nchan", "inside")["status"]["conditions"]
            if c["type"] == "DeliveryFailing"
        )
        assert "127.0.0.2 is loopback" in refused
    assert sink.kinds("inside") == []
