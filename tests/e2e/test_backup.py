"""Backup while it runs, restore, and change of keys, as docs/backup.md describes them."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tocsin_process import Tocsin, request

PAGE = Path(__file__).parents[2] / "docs" / "backup.md"
MANIFESTS = {
    "flow.yaml": """
apiVersion: tocsin.dev/v1alpha1
kind: Integration
metadata: {name: shop}
spec: {type: webhook, templates: {groupingId: '{{ payload.check }}'}}
"""
}


def key(letter: str) -> str:
    return base64.b64encode(letter.encode() * 32).decode()


def snippet(database: Path, copy: Path) -> str:
    """The Python of the page, with the places of this test."""
    found = re.search(r"python3 -c '\n(.*?)'", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1].replace("/var/lib/tocsin/tocsin.db", str(database)).replace("/tmp/backup.db", str(copy))


def send(url: str, check: str) -> None:
    assert request("POST", url, {"check": check}).status == 200


def test_a_backup_made_while_running_is_complete(tocsin: Callable[..., Tocsin], tmp_path: Path) -> None:
    """It holds every alert that was answered before, and none after; with the key file URLs are the same as ever."""
    first = tocsin(MANIFESTS)
    url = first.endpoints()["default/shop"]["url"]
    for number in range(20):
        send(url, f"before-{number}")
    database = Path(first.database.removeprefix("sqlite:///"))
    place = tmp_path / "restored"
    place.mkdir()
    subprocess.run([sys.executable, "-c", snippet(database, place / "tocsin.db")], check=True, timeout=60)
    shutil.copy(f"{database}.key", place / "tocsin.db.key")
    send(url, "after")
    first.kill()

    second = tocsin(MANIFESTS, database=f"sqlite:///{place}/tocsin.db")
    assert len(second.groups("perpage=100")) == 20
    restored = second.endpoints()["default/shop"]["url"]
    assert restored.rpartition("/integrations/")[2] == url.rpartition("/integrations/")[2]
    send(restored, "before-0")
    assert len(second.groups("perpage=100")) == 20


def test_senders_go_on_without_the_key(tocsin: Callable[..., Tocsin], tmp_path: Path) -> None:
    """Their tokens are looked up by hash; only showing the URLs needs the key."""
    first = tocsin(MANIFESTS)
    url = first.endpoints()["default/shop"]["url"]
    send(url, "one")
    first.kill()
    Path(first.database.removeprefix("sqlite:///") + ".key").unlink()
    second = tocsin(MANIFESTS, database=first.database)
    send(second.base + url.removeprefix(first.base), "two")
    assert len(second.groups()) == 2


def test_keys_change_in_three_steps(tocsin: Callable[..., Tocsin]) -> None:
    """Appended, then first, then alone; the URL and its token stay through all of them."""
    old, new = key("o"), key("n")
    database, paths = "", set()
    for keys in (old, f"{old},{new}", f"{new},{old}", new):
        running = tocsin(MANIFESTS, database=database, environment={"TOCSIN_SECRET_KEY": keys})
        database = running.database
        url = running.endpoints()["default/shop"]["url"]
        paths.add(url.removeprefix(running.base))
        send(url, "any")
        assert running.stop() == 0
    assert len(paths) == 1
