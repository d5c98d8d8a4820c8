"""From the previous version to this one: nothing that was accepted is refused, nothing that was stored is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tocsin_process import Tocsin, request
from upgrade_left import PREVIOUS, Left

from tocsin.api.check import belongs, check
from tocsin.api.common import Severity
from tocsin.api.conditions import Reason
from tocsin.api.loader import load_documents
from tocsin.cli.lint import lint_roots
from tocsin.store import Store, schema
from tocsin.store.keys import KeyRing

KEPT = (
    "number",
    "title",
    "state",
    "integration",
    "route",
    "alerts_count",
    "labels",
    "created_at",
    "acknowledged_by",
)


def shown(tocsin: Tocsin) -> dict[str, dict[str, Any]]:
    return {group["id"]: group for group in tocsin.groups("perpage=100")}


def test_groups_alerts_and_urls_are_as_they_were(left: Left, started: Callable[..., Tocsin]) -> None:
    """Each group under its id and number, in its state; each alert with its payload; each URL with its token."""
    tocsin = started(left)
    groups = shown(tocsin)
    for before in left.said["groups"]:
        now = groups[before["id"]]
        assert {key: now[key] for key in KEPT} == {key: before[key] for key in KEPT}
    for before in left.said["alerts"]:
        now = tocsin.get(f"/api/v1/alerts/{before['id']}")
        assert {key: now[key] for key in before} == before
    urls = {name: e["url"].removeprefix(tocsin.base) for name, e in tocsin.endpoints().items()}
    assert urls == left.said["endpoints"]
    found = tocsin.get("/api/v1/dead_letters")["results"]
    assert [letter["id"] for letter in found] == [letter["id"] for letter in left.said["dead_letters"]]


def test_open_groups_go_on(left: Left, started: Callable[..., Tocsin]) -> None:
    """The next alert joins its group, a recovery closes it, a credential still admits, a duplicate is still one."""
    tocsin = started(left)
    before = {group["title"]: group for group in left.said["groups"]}
    for service in ("firing", "silenced", "acknowledged"):
        known = before[f"{service} of payments"]
        body = {"service": service, "team": "payments"}
        answer = request("POST", tocsin.base + left.path("shop/web"), body)
        assert (answer.status, answer.json["alert_group_id"]) == (200, known["id"])
        assert shown(tocsin)[known["id"]]["state"] == known["state"]
        request("POST", tocsin.base + left.path("shop/web"), {**body, "status": "ok"})
        assert shown(tocsin)[known["id"]]["state"] == "resolved"
    bearer = {"Authorization": "Bearer the token of a test, 25 ch"}
    body = {"status": "resolved", "groupKey": '{}:{alertname="Full"}', "alerts": []}
    assert request("POST", tocsin.base + left.path("ops/am"), body, bearer).status == 200
    assert request("POST", tocsin.base + left.path("ops/am"), body).status == 401
    (full,) = (group for group in tocsin.groups("integration=ops/am") if group["state"] == "resolved")
    assert full["id"] in {group["id"] for group in left.said["groups"]}
    letter = tocsin.get(f"/api/v1/dead_letters/{left.said['dead_letters'][0]['id']}")
    assert "lost" in letter["body"]


async def test_the_schema_is_migrated_and_says_who_may_still_use_it(left: Left) -> None:
    """The previous version may: it is what rolls out last, and what a rollback brings back."""
    keys = KeyRing.from_environment(left.said["key"])
    store = await Store.open(left.database, keys=keys, role="all")
    assert await store.read(schema.version) == schema.head()
    oldest = await store.read(lambda connection: schema.read_setting(connection, schema.COMPATIBLE_FROM))
    await store.close()
    assert oldest is not None and oldest.decode() <= "0001"


def test_the_previous_version_goes_on_with_the_migrated_database(
    left: Left, started: Callable[..., Tocsin], previous_code: Path
) -> None:
    """Rolled back, it starts, shows what is there, takes alerts, and acts; then this version takes over again."""
    started(left).stop()
    old = started(left, code=previous_code)
    assert {group["id"] for group in left.said["groups"]} <= set(shown(old))
    (firing,) = (group for group in left.said["groups"] if group["title"] == "firing of payments")
    answer = request("POST", old.base + left.path("shop/web"), {"service": "firing", "team": "payments"})
    assert answer.json["alert_group_id"] == firing["id"]
    for verb in ("acknowledge", "resolve", "unresolve", "wipe"):
        acted = request("POST", f"{old.base}/api/v1/alert_groups/{firing['id']}/{verb}", {})
        assert acted.status == 200, acted.body
    old.stop()
    assert shown(started(left))[firing["id"]]["alerts_count"] == firing["alerts_count"] + 1


@pytest.mark.parametrize("left", ["postgresql"], indirect=True)
def test_both_versions_at_once_lose_nothing(
    left: Left, started: Callable[..., Tocsin], previous_code: Path
) -> None:
    """The database is migrated under an old receiver that takes alerts; one version replaces the other meanwhile."""
    old = started(left, command=("receiver",), code=previous_code)
    taken: list[str] = []
    refused: list[object] = []
    bases = [old.base]
    done = threading.Event()

    def send(worker: int) -> None:
        number = 0
        while not done.is_set():
            number += 1
            body = {"service": f"rolling-{worker}-{number}", "team": "payments"}
            try:
                answer = request("POST", bases[-1] + left.path("shop/web"), body)
            except OSError as error:  # as a connection that a load balancer still had: the sender repeats it
                refused.append(error)
                continue
            if answer.status == 200:
                taken.append(answer.json["alert_id"])
            else:
                refused.append(answer.body)

    workers = [threading.Thread(target=send, args=(worker,)) for worker in range(3)]
    for worker in workers:
        worker.start()
    try:
        started(left, command=("dispatcher",))
        new = started(left, command=("receiver",))
        count = len(taken)
        old.eventually(lambda: len(taken) > count + 20, what="the old receiver goes on on the new schema")
        bases.append(new.base)
        count = len(taken)
        old.eventually(lambda: len(taken) > count + 20, what="the new receiver takes over")
        assert old.stop() == 0
        new.eventually(lambda: len(taken) > count + 40, what="and goes on alone")
    finally:
        done.set()
        for worker in workers:
            worker.join(30)
    new.stop()
    console = started(left)
    stored, cursor = set(), ""
    while cursor is not None:
        page = console.get(f"/api/v1/alerts?perpage=1000&cursor={cursor}")
        stored.update(alert["id"] for alert in page["results"])
        cursor = page["next"] and page["next"].partition("cursor=")[2].partition("&")[0]
    assert set(taken) <= stored
    assert not refused, refused[:3]


def test_no_accepted_object_is_refused() -> None:
    """Every manifest that the previous version took has no error in this one, neither by schema nor by rule."""
    loaded = load_documents((PREVIOUS / "accepted.yaml").read_text(encoding="utf-8"))
    assert len(loaded.documents) > 80 and not loaded.findings
    for document in loaded.documents:
        if belongs(document.value):
            assert not [f for f in check(document.value) if f.severity is Severity.ERROR], document.value
    # Chains and channels that it names were no kinds then: such a reference is said, and keeps nothing from being accepted.
    found = lint_roots((PREVIOUS.parent / "flow.yaml",))
    assert not [f for f in found if f.severity is Severity.ERROR and f.reason != Reason.REF_NOT_FOUND], found
