"""`tocsin replay`: what came to an Integration that was away becomes alerts once it is back."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

from tocsin_process import Tocsin, request

WEB = """apiVersion: tocsin.dev/v1alpha1
kind: Integration
metadata: {name: web}
spec: {type: webhook, suspend: %s, templates: {groupingId: "{{ payload.id }}", resolve: "{{ payload.over }}"}}
"""


def tocsin_command(instance: Tocsin, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tocsin", *arguments, "--url", instance.base]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_dead_letters_become_alerts_in_their_order(tocsin: Callable[..., Tocsin]) -> None:
    """Oldest first, so that a recovery closes what came before it; what is replayed is no dead letter any more."""
    instance = tocsin({"flow.yaml": WEB % "true"})
    url = instance.endpoints()["default/web"]["url"]
    for body in ({"id": "a"}, {"id": "b"}, {"id": "a", "over": True}):
        assert request("POST", url, body).status == 200
    listed = tocsin_command(instance, "replay")
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["#", "1", "2", "3"]
    assert "default/web" in listed.stdout and instance.groups() == []

    refused = tocsin_command(instance, "replay", "--all")
    assert refused.returncode == 1
    assert "suspended" in refused.stdout and "3 of 3 were not taken; they are kept" in refused.stderr

    (instance.folder / "flow.yaml").write_text(WEB % "false")
    one = instance.eventually(
        lambda: (done := tocsin_command(instance, "replay", "1")).returncode == 0 and done,
        what="the Integration is there again",
    )
    assert one.stdout.startswith("1: alert A"), one
    rest = tocsin_command(instance, "replay", "--integration", "web", "-o", "json")
    assert [letter["id"] for letter in json.loads(rest.stdout)] == [2, 3]
    assert sorted(group["state"] for group in instance.groups()) == ["firing", "resolved"]
    assert json.loads(tocsin_command(instance, "replay", "-o", "json").stdout) == []
    gone = tocsin_command(instance, "replay", "1", "-o", "json")
    assert gone.returncode == 1 and "404" in json.loads(gone.stdout)[0]["error"]


def test_all_pages_are_walked(tocsin: Callable[..., Tocsin]) -> None:
    """More letters than a page holds."""
    instance = tocsin({"flow.yaml": WEB % "true"})
    url = instance.endpoints()["default/web"]["url"]
    for number in range(205):
        request("POST", url, {"id": number})
    listed = json.loads(tocsin_command(instance, "replay", "-o", "json").stdout)
    assert [letter["id"] for letter in listed] == list(range(1, 206))


def test_only_one_way_of_choosing(tocsin: Callable[..., Tocsin]) -> None:
    """Numbers, an integration, or all."""
    done = subprocess.run(
        [sys.executable, "-m", "tocsin", "replay", "1", "--all"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "give numbers, or --integration, or --all" in done.stderr
