"""The commands about people, against a running Tocsin and against a folder."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tocsin_process import Tocsin

PEOPLE = """
apiVersion: tocsin.dev/v1alpha1
kind: NotificationChannel
metadata: {name: push}
spec: {ntfy: {serverUrl: "http://127.0.0.1:9", topic: alerts}}
---
apiVersion: tocsin.dev/v1alpha1
kind: Responder
metadata: {name: ann}
spec: {displayName: Ann, contacts: [{name: push, channelRef: {name: push}}]}
---
apiVersion: tocsin.dev/v1alpha1
kind: Responder
metadata: {name: bob}
spec: {contacts: [{name: push, channelRef: {name: push}}]}
---
apiVersion: tocsin.dev/v1alpha1
kind: Integration
metadata: {name: pages}
spec: {type: direct_paging}
---
apiVersion: tocsin.dev/v1alpha1
kind: OnCallSchedule
metadata: {name: rota}
spec:
  layers:
    - name: days
      start: "2026-01-05T08:00"
      rotation: {frequency: Daily}
      participants: [{responderRefs: [{name: ann}]}, {responderRefs: [{name: bob}]}]
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tocsin", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_people_are_paged_and_what_failed_is_tried_again(tocsin: Callable[..., Tocsin]) -> None:
    """`page` opens a group or adds to one, by number; nobody listens at the channel, so `deliveries` shows the tries."""
    instance = tocsin({"people.yaml": PEOPLE})
    url = ("--url", instance.base)
    assert "give --user, or --team" in run("page", *url).stderr
    paged = run("page", *url, "--user", "ann", "--title", "Phones are dead")
    assert (paged.returncode, paged.stdout) == (0, "#1 Phones are dead: ann\n")
    added = run("page", *url, "--user", "default/bob", "--important", "--group", "1", "-o", "json")
    group = json.loads(added.stdout)
    assert [(one["username"], one["important"]) for one in group["paged"]] == [("ann", False), ("bob", True)]
    assert run("page", *url, "--user", "bob", "--group", "#1", "--undo").returncode == 0
    missing = run("page", *url, "--user", "bob", "--group", "77")
    assert (missing.returncode, "there is no alert group #77" in missing.stderr) == (1, True)

    def tried() -> str:
        shown = run("deliveries", *url, "--group", "1").stdout
        return shown if "default/ann by push" in shown else ""

    assert instance.eventually(tried).splitlines()[0].split() == [
        *("ID", "CREATED", "KIND", "STATE", "TO", "GROUP", "TRIES", "ERROR")
    ]
    again = run("deliveries", *url, "--retry")
    assert (again.returncode, "are tried again" in again.stdout) == (0, True)


def test_who_is_on_call_of_a_process_and_of_a_folder(tocsin: Callable[..., Tocsin], tmp_path: Path) -> None:
    """The same words from both; a schedule by its name shows its shifts."""
    instance = tocsin({"people.yaml": PEOPLE})
    folder = tmp_path / "people"
    folder.mkdir()
    (folder / "people.yaml").write_text(PEOPLE)
    for source in (("--url", instance.base), ("--folder", str(folder))):
        now = run("oncall", *source, "--at", "2026-01-06T12:00:00Z")
        assert [line.split() for line in now.stdout.splitlines()] == [
            ["SCHEDULE", "ON", "CALL", "UNTIL", "NEXT"],
            ["default/rota", "default/bob", "2026-01-07T08:00:00Z", "default/ann"],
        ]
        shifts = run("oncall", "rota", *source, "--at", "2026-01-05", "--days", "2")
        assert [line.split() for line in shifts.stdout.splitlines()[1:]] == [
            ["2026-01-05T00:00:00Z", "2026-01-05T08:00:00Z", "-", "(nobody)"],
            ["2026-01-05T08:00:00Z", "2026-01-06T08:00:00Z", "default/ann"],
            ["2026-01-06T08:00:00Z", "2026-01-07T00:00:00Z", "default/bob"],
        ]
    missing = run("oncall", "other", "--folder", str(folder))
    assert (missing.returncode, missing.stderr) == (1, "Error: there is no OnCallSchedule default/other\n")
