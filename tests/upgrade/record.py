"""Records what a release leaves behind, for the next version's tests: `python tests/upgrade/record.py CHECKOUT DIST`.

CHECKOUT is that release's source tree, DIST what its `make dist` made. Its own code, out of its wheel, takes alerts and
actions on SQLite and on PostgreSQL; both databases go as SQL text into `previous/`, beside what its API said of them,
every manifest that it accepted, its wheel and its chart. To be run once for each release, right after it.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import sqlite3
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "e2e")]

from process import Tocsin, request

from conftest import PostgresqlServer

PREVIOUS = HERE / "previous"
KEY = base64.b64encode(b"only for tests, known to anybody"[:32]).decode()
LONG = 9 * 365 * 24 * 3600
PROMETHEUS = {
    "labels": {"alertname": "Watchdog", "instance": "a"},
    "annotations": {},
    "startsAt": "2026-01-01T00:00:00Z",
    "endsAt": "2099-01-01T00:00:00Z",
}
ALERTMANAGER = {
    "version": "4",
    "groupKey": '{}:{alertname="Full"}',
    "status": "firing",
    "receiver": "tocsin",
    "groupLabels": {"alertname": "Full"},
    "commonLabels": {"alertname": "Full"},
    "commonAnnotations": {},
    "externalURL": "http://alertmanager:9093",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "Full"},
            "annotations": {},
            "startsAt": "2026-01-01T00:00:00Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "",
            "fingerprint": "1234567890abcdef",
        }
    ],
}


def main(checkout: Path, dist: Path) -> None:
    shutil.rmtree(PREVIOUS, ignore_errors=True)
    PREVIOUS.mkdir()
    (wheel,) = dist.glob("*.whl")
    for file in (wheel, *dist.glob("*[0-9].tgz")):
        shutil.copy(file, PREVIOUS)
    accepted(checkout)
    with tempfile.TemporaryDirectory() as name:
        code = Path(name) / "code"
        zipfile.ZipFile(wheel).extractall(code)
        database = Path(name) / "t.db"
        remember("sqlite", code, f"sqlite:///{database}", Path(name))
        with sqlite3.connect(database) as connection:
            (PREVIOUS / "sqlite.sql").write_text("\n".join(connection.iterdump()) + "\n", encoding="utf-8")
    server = PostgresqlServer()
    try:
        url = server.new_database()
        with tempfile.TemporaryDirectory() as name:
            code = Path(name) / "code"
            zipfile.ZipFile(wheel).extractall(code)
            remember("postgresql", code, url, Path(name))
        (PREVIOUS / "postgresql.sql").write_text(server.dump(url), encoding="utf-8")
    finally:
        server.close()


def accepted(checkout: Path) -> None:
    """Manifests that the release took: its examples, and the passing case of every rule."""
    files = [*checkout.glob("examples/*/*.yaml"), *checkout.glob("tests/api/cel/*/*.pass.yaml")]
    texts = [file.read_text(encoding="utf-8") for file in sorted(files)]
    kept = (text for text in texts if "apiVersion: tocsin.dev/" in text)
    (PREVIOUS / "accepted.yaml").write_text("---\n".join(kept), encoding="utf-8")


def remember(engine: str, code: Path, database: str, folder: Path) -> None:
    manifests = folder / "manifests"
    manifests.mkdir()
    shutil.copy(HERE / "flow.yaml", manifests)
    environment = {"PYTHONPATH": str(code), "TOCSIN_SECRET_KEY": KEY}
    tocsin = Tocsin(folder=manifests, database=database, environment=environment).start()
    os.environ["PYTHONPATH"] = str(code)
    try:
        fill(tocsin)
        said = {
            "version": tocsin.get("/api/v1/status")["version"],
            "key": KEY,
            "endpoints": {
                name: endpoint["url"].removeprefix(tocsin.base)
                for name, endpoint in tocsin.endpoints().items()
            },
            "groups": tocsin.groups("perpage=100"),
            "alerts": tocsin.get("/api/v1/alerts?perpage=100")["results"],
            "heartbeats": tocsin.get("/api/v1/heartbeats")["results"],
            "windows": tocsin.get("/api/v1/windows")["results"],
            "dead_letters": tocsin.get("/api/v1/dead_letters")["results"],
        }
    finally:
        tocsin.stop()
    text = json.dumps(said, indent=1, sort_keys=True, ensure_ascii=False)
    (PREVIOUS / f"{engine}.json").write_text(text + "\n", encoding="utf-8")


def fill(tocsin: Tocsin) -> None:
    """Groups in every state, with timers, a heartbeat, a window, credentials, dead letters and digested alerts."""
    urls = {name: endpoint["url"] for name, endpoint in tocsin.endpoints().items()}

    def post(name: str, body: Any, path: str = "", **headers: str) -> dict[str, Any]:
        answer = request("POST", urls[name] + path, body, headers)
        assert answer.status == 200, answer.body
        return answer.json if answer.body else {}

    def act(group: str, verb: str, body: Any = None) -> None:
        answer = request("POST", f"{tocsin.base}/api/v1/alert_groups/{group}/{verb}", body or {})
        assert answer.status == 200, answer.body

    groups = {}
    for service in (
        "firing",
        "disk-a",
        "acknowledged",
        "silenced",
        "mute",
        "resolved",
        "gone",
        "parent",
        "child",
    ):
        payload = {
            "service": service,
            "team": "payments",
            "severity": "high",
            "token": "hidden",
            "text": "ä" * 50,
        }
        for _ in range(3):
            groups[service] = post("shop/web", payload)["alert_group_id"]
    act(groups["acknowledged"], "acknowledge")
    act(groups["silenced"], "silence", {"delay": LONG})
    act(groups["mute"], "silence", {"delay": -1})
    act(groups["resolved"], "resolve")
    post("shop/web", {"service": "gone", "status": "ok"})
    act(groups["child"], "attach", {"parent_id": groups["parent"]})
    post("shop/web", {}, "heartbeat/")
    post("ops/am", ALERTMANAGER, Authorization="Bearer the token of a test, 25 ch")
    post("ops/prometheus", [PROMETHEUS], "api/v2/alerts")
    post("ops/night", {"service": "asleep"})
    post("ops/away", {"service": "lost"})
    for number in range(5):
        post("ops/limited", {"number": number})


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
