"""A lost database and a full disk: 503, nothing half-written, and recovery without a restart."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tocsin_process import Tocsin, request

MANIFESTS = "apiVersion: tocsin.dev/v1alpha1\nkind: Integration\nmetadata: {name: web}\nspec: {type: formatted_webhook}\n"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB of its own."""
    mounted = tmp_path / "small"
    mounted.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(mounted)], check=True)
    yield mounted
    subprocess.run(["umount", str(mounted)], check=True)


def test_a_full_disk_is_503_and_nothing_is_half_written(
    tocsin: Callable[..., Tocsin], small_disk: Path
) -> None:
    """Alerts are refused with Retry-After while the disk is full; what was answered 200 is there; then it goes on."""
    instance = tocsin({"flow.yaml": MANIFESTS}, database=f"sqlite:///{small_disk}/t.db")
    url = instance.endpoints()["default/web"]["url"]
    stored = 0
    # Incompressible text, so that the database really grows.
    for number in range(400):
        noise = "".join(f"{hash((number, part)):x}" for part in range(2_000))
        answer = request("POST", url, {"alert_uid": "one", "title": "t", "message": noise})
        if answer.status != 200:
            break
        stored += 1
    assert answer.status == 503
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert int(answer.headers["Retry-After"]) > 0
    group = instance.groups()[0]
    assert group["alerts_count"] == stored
    assert instance.get(f"/api/v1/alerts?alert_group_id={group['id']}&perpage=1")["count"] == stored
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    instance.eventually(
        lambda: request("POST", url, {"alert_uid": "one", "title": "t"}).status == 200,
        what="alerts are taken again",
    )
    assert instance.groups()[0]["alerts_count"] == stored + 1
    assert instance.process is not None
    assert instance.process.poll() is None
    instance.close()


@pytest.mark.xdist_group("postgresql-outage")
def test_a_lost_postgresql_is_503_and_comes_back_by_itself(
    tocsin: Callable[..., Tocsin], postgresql_server, postgresql_url: str
) -> None:
    """PostgreSQL is stopped under a running Tocsin and started again; no restart, the open group goes on."""
    environment = {"TOCSIN_SECRET_KEY": "k" * 44}
    instance = tocsin({"flow.yaml": MANIFESTS}, database=postgresql_url, environment=environment)
    url = instance.endpoints()["default/web"]["url"]
    first = request("POST", url, {"alert_uid": "u", "title": "before"}).json
    postgresql_server.stop()
    try:
        answer = request("POST", url, {"alert_uid": "u", "title": "during"})
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) > 0
    finally:
        postgresql_server.start()
    joined = instance.eventually(
        lambda: (a := request("POST", url, {"alert_uid": "u", "title": "after"})).status == 200 and a,
        seconds=60,
        what="alerts are taken again",
    ).json
    assert joined["alert_group_id"] == first["alert_group_id"]
    titles = {one["payload"]["title"] for one in instance.get("/api/v1/alerts?perpage=100")["results"]}
    assert titles == {"before", "after"}
    instance.close()
