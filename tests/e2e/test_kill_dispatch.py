"""kill -9 at random moments while groups escalate: everybody who is due is told, nobody under a second key."""

from __future__ import annotations

import base64
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from tocsin_process import Tocsin, request
from tocsin_sink import Sink

TEAMS = 5
GROUPS_OF_EACH = 4
"""Fewer than would be bundled, for each person and channel."""

KILLS = 4
ALL = [(n, number) for number in range(GROUPS_OF_EACH) for n in range(TEAMS)]
KEY = {"TOCSIN_SECRET_KEY": base64.b64encode(b"k" * 32).decode()}
PLACES = ("chat", "push", "phone", "ticket", "room", "boss")
"""Every group is told in each of these, once."""

TEAM = """
apiVersion: tocsin.dev/v1alpha1
kind: Integration
metadata: {{name: web-{n}}}
spec:
  type: webhook
  templates: {{groupingId: '{{{{ payload.id }}}}'}}
  defaultRoute:
    escalationChainRef: {{name: chain-{n}}}
    chatops: [{{channelRef: {{name: chat-{n}}}}}]
---
apiVersion: tocsin.dev/v1alpha1
kind: EscalationChain
metadata: {{name: chain-{n}}}
spec:
  steps:
    - notifyResponders: {{responderRefs: [{{name: ann-{n}}}]}}
    - triggerWebhook: {{webhookRef: {{name: ticket-{n}}}}}
    - wait: {{duration: 1s}}
    - notifyChannel: {{channelRef: {{name: room-{n}}}}}
    - wait: {{duration: 2s}}
    - notifyResponders: {{responderRefs: [{{name: bob-{n}}}], importance: Important}}
---
apiVersion: tocsin.dev/v1alpha1
kind: Responder
metadata: {{name: ann-{n}}}
spec:
  contacts:
    - {{name: push, channelRef: {{name: push-{n}}}}}
    - {{name: phone, channelRef: {{name: phone-{n}}}}}
  rules: {{default: [{{notify: push}}, {{wait: 1s}}, {{notify: phone}}]}}
---
apiVersion: tocsin.dev/v1alpha1
kind: Responder
metadata: {{name: bob-{n}}}
spec:
  contacts: [{{name: boss, channelRef: {{name: boss-{n}}}}}]
---
apiVersion: tocsin.dev/v1alpha1
kind: OutgoingWebhook
metadata: {{name: ticket-{n}}}
spec:
  triggers: [Escalation]
  url: '{sink}/ticket-{n}'
  body: '{{"group": "{{{{ alert_group_id }}}}"}}'
"""

CHANNEL = """
---
apiVersion: tocsin.dev/v1alpha1
kind: NotificationChannel
metadata: {{name: {place}-{n}}}
spec: {{webhook: {{url: '{sink}/{place}-{n}'}}}}
"""


def manifests(sink: str) -> dict[str, str]:
    channels = [place for place in PLACES if place != "ticket"]
    return {
        f"team-{n}.yaml": TEAM.format(n=n, sink=sink)
        + "".join(CHANNEL.format(place=place, n=n, sink=sink) for place in channels)
        for n in range(TEAMS)
    }


def log_of(instance: Tocsin, group: str) -> list[dict[str, Any]]:
    entries = instance.get(f"/api/v1/alert_groups/{group}/log")["results"]
    assert isinstance(entries, list)
    return entries


def is_over(instance: Tocsin, groups: set[str]) -> bool:
    """Every chain came to its end, with it the rules of people, and nothing waits to be sent."""
    ended = all(
        any(entry["action"] == "escalation_finished" for entry in log_of(instance, group)) for group in groups
    )
    return ended and not instance.get("/api/v1/deliveries?state=pending")["results"]


def groups_told(sink: Sink) -> dict[str, dict[str, set[str]]]:
    """Place -> group -> the keys under which it was told there."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for hit in sink.hits:
        body = hit.json
        group = body["group"] if "group" in body else body["alertGroup"]["id"]
        found[hit.path][group].add(hit.key)
    return found


def open_groups(
    instance: Tocsin, numbers: list[tuple[int, int]], opened: dict[int, set[str]], chance: random.Random
) -> None:
    """Posts an alert for each (team, number); `opened` takes the groups, by team."""
    endpoints = instance.endpoints()
    for n, number in numbers:
        url = endpoints[f"default/web-{n}"]["url"]
        answer = request("POST", url, {"id": str(number), "title": f"{n}/{number}"})
        assert answer.status == 200
        opened[n].add(answer.json["alert_group_id"])
        time.sleep(chance.uniform(0, 0.05))


def check_told(instance: Tocsin, sink: Sink, opened: dict[int, set[str]]) -> None:
    """Every group is told in each place, under one key."""
    found = groups_told(sink)
    # On a machine so slow that a restart takes a minute, steps make way for newer ones; the log then says so.
    groups = set().union(*opened.values())
    late = {group for group in groups if any("skipped" in e["details"] for e in log_of(instance, group))}
    for place in PLACES:
        for n in range(TEAMS):
            assert opened[n] - late <= set(found[f"/{place}-{n}"]) <= opened[n], (place, n)
    twice = [keys for told in found.values() for keys in told.values() if len(keys) > 1]
    assert not twice, "told under a second key"


def figures(sink: Sink) -> None:
    different = len({hit.key for hit in sink.hits})
    sys.stdout.write(f"{KILLS} kills, {different} notifications, {len(sink.hits) - different} repeats\n")


def test_whoever_is_due_is_told_although_tocsin_is_killed(tocsin: Callable[..., Tocsin], sink: Sink) -> None:
    """Steps, rules of people, chat and webhooks of each group: told at least once, and always under one key. Once all is
    told, another restart tells nothing.
    """
    chance = random.Random(5)
    sink.delay = 0.03
    instance = tocsin(manifests(sink.base), arguments=("--allow-outgoing", "127.0.0.1"))
    opened: dict[int, set[str]] = defaultdict(set)
    for kill in range(KILLS):
        open_groups(instance, ALL[kill::KILLS], opened, chance)
        time.sleep(chance.uniform(0, 1.2))
        instance.kill()
        instance.start()
    groups = set().union(*opened.values())
    instance.eventually(lambda: is_over(instance, groups), what="everybody is told")
    check_told(instance, sink, opened)
    figures(sink)
    came = len(sink.hits)
    instance.kill()
    instance.start()
    assert is_over(instance, groups)
    assert len(sink.hits) == came, "a restart is quiet"


def test_no_step_is_done_twice_by_dispatchers_that_are_killed(
    tocsin: Callable[..., Tocsin], sink: Sink, postgresql_url: str
) -> None:
    """Three dispatchers on PostgreSQL, two of them killed in turn: each step is done by one, under one key, and what a
    killed one had in hand is done by the others.
    """
    chance = random.Random(6)
    sink.delay = 0.03
    arguments = ("--allow-outgoing", "127.0.0.1")
    instance = tocsin(manifests(sink.base), arguments=arguments, database=postgresql_url, environment=KEY)
    others = [
        Tocsin(
            folder=instance.folder,
            database=postgresql_url,
            arguments=arguments,
            environment=KEY,
            command=("dispatcher",),
        )
        for _ in range(2)
    ]
    opened: dict[int, set[str]] = defaultdict(set)
    try:
        for other in others:
            other.start()
        for kill in range(KILLS):
            open_groups(instance, ALL[kill::KILLS], opened, chance)
            time.sleep(chance.uniform(0, 1.2))
            others[kill % 2].kill()
            others[kill % 2].start(wait=False)
        groups = set().union(*opened.values())
        # What a dispatcher had claimed when it was killed is free after 30 s, runs of webhooks after 42 s.
        instance.eventually(lambda: is_over(instance, groups), what="everybody is told", seconds=90)
    finally:
        for other in others:
            other.close()
    check_told(instance, sink, opened)
    figures(sink)
