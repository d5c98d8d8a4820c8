"""kill -9 at random moments under load: what was answered 2xx is there afterwards, exactly once; timers fire."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections.abc import Callable
from typing import Self
from urllib.parse import urlsplit

from tocsin_process import Tocsin, request

MANIFESTS = """
apiVersion: tocsin.dev/v1alpha1
kind: Integration
metadata: {name: load}
spec:
  type: formatted_webhook
---
apiVersion: tocsin.dev/v1alpha1
kind: Integration
metadata: {name: beat}
spec:
  type: webhook
  heartbeat: {interval: 30s, required: true}
"""

ROUNDS = 4
SENDERS = 6


class Senders:
    """Posts distinct alerts from several connections until stopped, and remembers every 2xx answer."""

    def __init__(self, url: str, name: str) -> None:
        self.name = name
        self.target = urlsplit(url)
        self.answered: dict[str, str] = {}
        self.sent = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(n,)) for n in range(SENDERS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def _send(self, sender: int) -> None:
        count = 0
        while not self._stop.is_set() and count < 5000:
            connection = http.client.HTTPConnection(self.target.hostname or "", self.target.port, timeout=5)
            try:
                while not self._stop.is_set() and count < 5000:
                    count += 1
                    uid = f"{self.name}-{sender}-{count}"
                    connection.request(
                        "POST",
                        self.target.path,
                        json.dumps({"alert_uid": f"group-{count % 50}", "title": uid, "state": "alerting"}),
                    )
                    answer = connection.getresponse()
                    body = answer.read()
                    if answer.status == 200:
                        with self._lock:
                            self.answered[uid] = json.loads(body)["alert_id"]
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)
            finally:
                connection.close()


def all_alerts(instance: Tocsin) -> list[dict[str, object]]:
    alerts: list[dict[str, object]] = []
    url = "/api/v1/alerts?perpage=1000"
    while url:
        page = instance.get(url)
        alerts += page["results"]
        following = page["next"] or ""
        url = following[following.index("/api/") :] if following else ""
    return alerts


def test_every_answered_alert_survives_kill_9_exactly_once(tocsin: Callable[..., Tocsin]) -> None:
    """Alerts answered 2xx before kill -9 at random moments are stored after the restart, once, under the answered id."""
    instance = tocsin({"flow.yaml": MANIFESTS})
    url = instance.endpoints()["default/load"]["url"]
    moments = random.Random(7)
    answered: dict[str, str] = {}
    for number in range(ROUNDS):
        with Senders(url, f"round{number}") as senders:
            time.sleep(moments.uniform(0.3, 1.2))
            instance.kill()
        answered |= senders.answered
        instance.start()
    stored = all_alerts(instance)
    ids = [alert["id"] for alert in stored]
    assert len(answered) > 100, "the load was too small to prove anything"
    assert len(ids) == len(set(ids))
    by_title = {
        alert["payload"]["title"]: alert["id"]
        for alert in stored
        if isinstance(alert["payload"], dict) and "title" in alert["payload"]
    }  # type: ignore[index]
    assert {uid: by_title.get(uid) for uid in answered} == answered
    counts = [group["alerts_count"] for group in instance.groups("integration=default/load&perpage=100")]
    assert sum(counts) == len([a for a in stored if str(a["payload"]).find("alert_uid") >= 0])


def test_urls_and_groups_are_the_same_after_a_kill(tocsin: Callable[..., Tocsin]) -> None:
    """Tokens, open groups and their states survive; a resolve after the restart closes the group opened before it."""
    instance = tocsin({"flow.yaml": MANIFESTS})
    before = instance.endpoints()
    url = before["default/load"]["url"]
    opened = request("POST", url, {"alert_uid": "u1", "title": "first", "state": "alerting"}).json
    acknowledged = request("POST", url, {"alert_uid": "u2", "title": "second", "state": "alerting"}).json
    assert (
        request(
            "POST", f"{instance.base}/api/v1/alert_groups/{acknowledged['alert_group_id']}/acknowledge", {}
        ).status
        == 200
    )
    instance.kill()
    instance.start()
    assert instance.endpoints() == before
    resolved = request("POST", url, {"alert_uid": "u1", "state": "ok"}).json
    assert (resolved["alert_group_id"], resolved["state"]) == (opened["alert_group_id"], "resolved")
    joined = request("POST", url, {"alert_uid": "u2", "title": "again", "state": "alerting"}).json
    assert (joined["alert_group_id"], joined["state"]) == (acknowledged["alert_group_id"], "acknowledged")


def test_a_silence_ends_although_tocsin_was_killed_meanwhile(tocsin: Callable[..., Tocsin]) -> None:
    """The timer that ends a silence is durable: it fires after the restart."""
    instance = tocsin({"flow.yaml": MANIFESTS})
    url = instance.endpoints()["default/load"]["url"]
    group = request("POST", url, {"alert_uid": "u3", "title": "third", "state": "alerting"}).json[
        "alert_group_id"
    ]
    assert request("POST", f"{instance.base}/api/v1/alert_groups/{group}/silence", {"delay": 2}).status == 200
    assert instance.get(f"/api/v1/alert_groups/{group}")["state"] == "silenced"
    instance.kill()
    instance.start()
    instance.eventually(
        lambda: instance.get(f"/api/v1/alert_groups/{group}")["state"] == "firing", what="the silence ends"
    )
