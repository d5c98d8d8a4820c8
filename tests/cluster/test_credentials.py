"""Secrets: those that Tocsin keeps, those that it is pointed to, and how quickly a change counts."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Any

from cluster_world import WEB, Operated, World, declared, request, until

Start = Callable[..., Operated]
TOKEN, OTHER = "an-own-token-of-enough-length", "another-token-of-enough-length"


def secret(name: str, *, labels: dict[str, str] | None = None, **values: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "labels": labels or {}},
        "stringData": values,
    }


def token_of(world: World) -> str:
    return base64.b64decode(world.get("secret", "web-endpoint")["data"].get("token", "")).decode()


def posted(running: Operated, token: str) -> int:
    return request("POST", f"{running.base}/integrations/v1/webhook/{token}/", {"a": 1}).status


def test_the_endpoint_secret_holds_urls_inside_and_outside(world: World, tocsin: Start) -> None:
    """And those of the heartbeat, where one is declared; the values are as the options say."""
    tocsin(
        arguments=(
            "--internal-url",
            "http://tocsin.x.svc:8080",
            "--external-url",
            "https://alerts.example.org",
        )
    )
    world.apply(declared("Integration", "web", {**WEB, "heartbeat": {"interval": "5m"}}))
    world.wait_ready("integration/web")
    data = {k: base64.b64decode(v).decode() for k, v in world.get("secret", "web-endpoint")["data"].items()}
    path = f"/integrations/v1/webhook/{data['token']}/"
    assert data == {
        "token": data["token"],
        "url": f"http://tocsin.x.svc:8080{path}",
        "externalUrl": f"https://alerts.example.org{path}",
        "heartbeatUrl": f"http://tocsin.x.svc:8080{path}heartbeat/",
        "externalHeartbeatUrl": f"https://alerts.example.org{path}heartbeat/",
    }
    world.apply(declared("Integration", "web", WEB))
    world.wait_ready("integration/web")
    until(lambda: "heartbeatUrl" not in world.get("secret", "web-endpoint")["data"])


def test_a_lost_secret_comes_back_with_the_same_token(world: World, tocsin: Start) -> None:
    """Deleting it by mistake breaks no sender."""
    tocsin()
    world.apply(declared("Integration", "web", WEB))
    world.wait_ready("integration/web")
    token = token_of(world)
    world.kubectl("delete", "secret", "web-endpoint")
    until(lambda: world.get("secret", "web-endpoint"), seconds=10)
    assert token_of(world) == token


def test_a_token_is_rotated_by_emptying_it_and_both_work_for_the_overlap(world: World, tocsin: Start) -> None:
    """An empty token asks for a new one; the old one stays valid for rotationOverlap, and not longer."""
    running = tocsin()
    world.apply(declared("Integration", "web", {**WEB, "auth": {"rotationOverlap": "5s"}}))
    world.wait_ready("integration/web")
    old = token_of(world)
    world.kubectl("patch", "secret", "web-endpoint", "-p", '{"stringData":{"token":""}}')
    until(lambda: token_of(world) not in {"", old}, seconds=10)
    new = token_of(world)
    until(lambda: posted(running, new) == 200, seconds=10)
    until(lambda: posted(running, old) == 403, seconds=20)
    assert posted(running, new) == 200
    time.sleep(1)
    assert token_of(world) == new


def test_a_token_written_into_the_endpoint_secret_becomes_the_token(world: World, tocsin: Start) -> None:
    """One that is too short is replaced by the one in force."""
    running = tocsin()
    world.apply(declared("Integration", "web", WEB))
    world.wait_ready("integration/web")
    old = token_of(world)
    world.kubectl("patch", "secret", "web-endpoint", "-p", f'{{"stringData":{{"token":"{TOKEN}"}}}}')
    until(lambda: posted(running, TOKEN) == 200, seconds=10)
    assert posted(running, old) == 200
    world.kubectl("patch", "secret", "web-endpoint", "-p", '{"stringData":{"token":"short"}}')
    until(lambda: token_of(world) == TOKEN, seconds=10)
    assert posted(running, "short") == 403


def test_a_secret_of_that_name_that_is_not_ours_is_never_touched(world: World, tocsin: Start) -> None:
    """The Integration says so, and everything else works."""
    world.apply(secret("web-endpoint", password="mine"))
    tocsin()
    world.apply(declared("Integration", "web", WEB), declared("Integration", "other", WEB))
    world.wait_ready("integration/other")
    found = until(lambda: world.condition("integration", "web", "Programmed") == ("False", "Pending"))
    assert found
    message = next(
        c["message"]
        for c in world.get("integration", "web")["status"]["conditions"]
        if c["type"] == "Programmed"
    )
    assert "web-endpoint" in message and "not Tocsin's" in message
    assert base64.b64decode(world.get("secret", "web-endpoint")["data"]["password"]) == b"mine"
    world.kubectl("delete", "secret", "web-endpoint")
    world.wait_ready("integration/web", seconds=120)


def test_a_given_token_and_its_rotation(world: World, tocsin: Start) -> None:
    """Labelled tocsin.dev/watch=true a change counts within seconds; the old token stays valid meanwhile."""
    running = tocsin()
    watched = {"tocsin.dev/watch": "true"}
    spec = {**WEB, "auth": {"tokenSecretRef": {"name": "mine", "key": "t"}}}
    world.apply(declared("Integration", "web", spec))
    until(lambda: world.condition("integration", "web", "ResolvedRefs") == ("False", "RefNotFound"))
    world.apply(secret("mine", labels=watched, t=TOKEN))
    world.wait_ready("integration/web", seconds=20)
    until(lambda: posted(running, TOKEN) == 200, seconds=5)
    assert not world.get("secret", "web-endpoint")
    world.apply(secret("mine", labels=watched, t=OTHER))
    until(lambda: posted(running, OTHER) == 200, seconds=5)
    assert posted(running, TOKEN) == 200


def test_two_integrations_cannot_have_one_token(world: World, tocsin: Start) -> None:
    """The first by name has it; the other one says so and has no effect."""
    running = tocsin()
    own = {"tokenSecretRef": {"name": "mine", "key": "t"}}
    world.apply(secret("mine", t=TOKEN), declared("Integration", "web", {**WEB, "auth": own}))
    world.wait_ready("integration/web")
    world.apply(secret("stolen", t=TOKEN))
    theirs = {"tokenSecretRef": {"name": "stolen", "key": "t"}}
    world.apply(declared("Integration", "z-thief", {**WEB, "auth": theirs}))
    until(lambda: world.condition("integration", "z-thief")[0] == "False")
    assert world.condition("integration", "web") == ("True", "Ready")
    assert posted(running, TOKEN) == 200


def test_values_of_secrets_appear_nowhere(world: World, tocsin: Start) -> None:
    """Not in the log, not in a status, not in an Event, not in the clear in the database."""
    running = tocsin(arguments=("--log-level", "debug"))
    auth = {
        "mode": "Basic",
        "basic": {
            "usernameSecretRef": {"name": "mine", "key": "u"},
            "passwordSecretRef": {"name": "mine", "key": "p"},
        },
    }
    world.apply(
        secret("mine", u="basic-user-name", p=TOKEN),
        declared("Integration", "web", {**WEB, "auth": auth}),
        declared("Integration", "other", WEB),
    )
    world.wait_ready("integration/web", "integration/other")
    generated = base64.b64decode(world.get("secret", "other-endpoint")["data"]["token"]).decode()
    running.stop()
    everything = running.log + world.kubectl("get", "integrations,events", "-o", "json")
    stored = b"".join(path.read_bytes() for path in running.folder.glob("t.db*") if path.suffix != ".key")
    for value in (TOKEN, generated):
        assert value not in everything
        assert value.encode() not in stored
