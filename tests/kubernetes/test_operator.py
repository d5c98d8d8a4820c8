"""The operator as a whole, against a small API server that fails on demand, with a real store and a real replica."""

from __future__ import annotations

import asyncio

import pytest
from kube_operator import Start, condition, is_ready, until
from kube_server import FakeServer

from tocsin.control.kubernetes import references, sweep
from tocsin.control.kubernetes.resources import Scope
from tocsin.store import revisions

WEB = {"type": "webhook"}
ROUTE = {"parentRefs": [{"name": "web"}], "match": {"regex": "disk"}}


async def test_declared_objects_become_the_flow_and_say_so(server: FakeServer, start: Start) -> None:
    """From two objects to a loaded flow, two statuses, an endpoint Secret and two Events."""
    server.put("integrations", "web", spec=WEB)
    server.put("alertroutes", "disk", spec=ROUTE)
    async with start() as tocsin:
        await until(
            lambda: is_ready(server, "integrations", "web") and is_ready(server, "alertroutes", "disk")
        )
        assert tocsin.routes == {"disk"}
        assert tocsin.operator.not_ready == ""
        status = server.status("integrations", "web")
        assert status["endpointSecret"] == "web-endpoint" and status["attachedRoutes"] == 1
        secret = server.objects["secrets", "n", "web-endpoint"]
        assert set(secret["data"]) == {"token", "url"}
        assert (
            secret["metadata"]["ownerReferences"][0]["uid"]
            == server.objects["integrations", "n", "web"]["metadata"]["uid"]
        )
        await until(lambda: len(server.writes("/events")) == 2)


async def test_an_edit_is_live_and_then_said(server: FakeServer, start: Start) -> None:
    """Ready never speaks of a generation that is not loaded."""
    server.put("integrations", "web", spec=WEB)
    server.put("alertroutes", "disk", spec=ROUTE)
    async with start() as tocsin:
        await until(lambda: is_ready(server, "alertroutes", "disk"))
        digests = set()
        for at in range(5):
            server.put("alertroutes", "disk", spec={**ROUTE, "priority": at})
            await until(lambda: is_ready(server, "alertroutes", "disk"))
            digests.add(tocsin.live.program.digest)
        assert len(digests) == 5


async def test_a_deletion_takes_effect(server: FakeServer, start: Start) -> None:
    """Within the debounce."""
    server.put("integrations", "web", spec=WEB)
    server.put("alertroutes", "disk", spec=ROUTE)
    async with start() as tocsin:
        await until(lambda: tocsin.routes == {"disk"})
        server.delete("alertroutes", "disk")
        await until(lambda: tocsin.routes == set())


async def test_a_deletion_that_no_event_told_is_found_after_the_relist(
    server: FakeServer, start: Start
) -> None:
    """The watch ends with 410, and the deletion happens before kopf lists anew: kopf never tells of it."""
    server.put("integrations", "web", spec=WEB)
    server.put("alertroutes", "disk", spec=ROUTE)
    server.put("alertroutes", "stays", spec=ROUTE)
    async with start() as tocsin:
        await until(lambda: is_ready(server, "alertroutes", "disk") and tocsin.signals.figures.up())
        await asyncio.sleep(2 * sweep.AFTER_RELIST)  # the sweep that follows kopf's first list
        server.delete("alertroutes", "disk", silently=True)
        server.forget("alertroutes")
        await until(lambda: tocsin.routes == {"stays"})


async def test_a_bad_object_harms_only_itself(server: FakeServer, start: Start) -> None:
    """What the API server should have refused, and what only the parser can know, are statuses."""
    server.put("integrations", "web", spec=WEB)
    server.put("alertroutes", "disk", spec=ROUTE)
    server.put("alertroutes", "broken", spec={"parentRefs": "web", "match": {}})
    server.put("alertroutes", "half", spec={**ROUTE, "match": {"template": "{{ payload."}})
    server.put("alertroutes", "dangling", spec={**ROUTE, "parentRefs": [{"name": "nowhere"}]})
    async with start() as tocsin:
        await until(lambda: is_ready(server, "alertroutes", "disk"))
        await until(lambda: condition(server, "alertroutes", "broken", "Accepted")[0] == "False")
        await until(lambda: condition(server, "alertroutes", "half", "PartiallyInvalid")[0] == "True")
        await until(lambda: condition(server, "alertroutes", "dangling", "ResolvedRefs")[0] == "False")
        assert "spec.parentRefs" in str(server.status("alertroutes", "broken")["findings"])
        assert condition(server, "alertroutes", "half", "Ready")[0] == "False"
        assert "disk" in tocsin.routes and "broken" not in tocsin.routes


async def test_a_slow_receiver_is_waited_for_across_publications(
    server: FakeServer, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one publication left waiting is said when a later one sees the acknowledgement."""
    monkeypatch.setattr("tocsin.control.kubernetes.shift._GRACE", 0.06)
    server.put("integrations", "web", spec=WEB)
    async with start(at_once=False):
        await until(lambda: is_ready(server, "integrations", "web"))
        for at in range(12):
            server.put("alertroutes", f"r{at}", spec=ROUTE)
            await asyncio.sleep(0.15)
        await until(lambda: all(is_ready(server, "alertroutes", f"r{at}") for at in range(12)), 20)


async def test_statuses_do_not_lead_to_more_statuses(server: FakeServer, start: Start) -> None:
    """One write each, though every write comes back as an event and kopf's list brings all objects twice."""
    server.put("integrations", "web", spec=WEB)
    for at in range(20):
        server.put("alertroutes", f"r{at}", spec=ROUTE)
    async with start():
        await until(lambda: all(is_ready(server, "alertroutes", f"r{at}") for at in range(20)))
        before = len(server.writes("/status"))
        await asyncio.sleep(3)
        assert len(server.writes("/status")) == before <= 2 * 21


async def test_a_restart_writes_nothing(server: FakeServer, start: Start) -> None:
    """What the statuses say is still true."""
    server.put("integrations", "web", spec=WEB)
    server.put("alertroutes", "disk", spec=ROUTE)
    async with start():
        await until(
            lambda: is_ready(server, "alertroutes", "disk") and is_ready(server, "integrations", "web")
        )
    token = server.objects["secrets", "n", "web-endpoint"]["data"]["token"]
    before = len(server.writes("/status")), len(server.writes("/secrets"))
    async with start() as tocsin:
        await until(lambda: tocsin.operator.leads and tocsin.signals.figures.up())
        await asyncio.sleep(2)
        assert tocsin.routes == {"disk"}
    assert (len(server.writes("/status")), len(server.writes("/secrets"))) == before
    assert server.objects["secrets", "n", "web-endpoint"]["data"]["token"] == token


@pytest.mark.parametrize(("status", "reason"), [(403, "Forbidden"), (404, "CrdMissing")])
async def test_a_kind_that_cannot_be_listed_is_named_and_awaited(
    server: FakeServer, start: Start, status: int, reason: str
) -> None:
    """Nothing is published from half of the objects; once it is mended all goes on by itself."""
    server.put("integrations", "web", spec=WEB)
    server.refused["alertroutes"] = status
    async with start() as tocsin:
        await until(lambda: tocsin.signals.problems.open)
        assert tocsin.signals.problems.open["list alertroutes"][0] == reason
        assert "alertroutes.tocsin.dev" in tocsin.operator.not_ready
        assert tocsin.live.revision == 0 and not tocsin.signals.figures.up()
        server.refused.clear()
        await until(lambda: is_ready(server, "integrations", "web"))
        assert tocsin.operator.not_ready == ""


async def test_secrets_that_may_not_be_listed_are_read_one_by_one(server: FakeServer, start: Start) -> None:
    """A cluster may grant get without list: then the barrier does not wait for what will never come."""
    server.put("integrations", "web", spec=WEB)
    server.refused["configmaps"] = 403
    async with start() as tocsin:
        await until(lambda: is_ready(server, "integrations", "web"))
        assert tocsin.signals.problems.open["list configmaps"][0] == "Forbidden"


async def test_a_long_list_that_expires_is_read_anew(server: FakeServer, start: Start) -> None:
    """410 between two pages."""
    server.put("integrations", "web", spec=WEB)
    for at in range(300):
        server.put("alertroutes", f"r{at}", spec=ROUTE)
    server.expire_lists = 1
    async with start() as tocsin:
        await until(lambda: len(tocsin.routes) == 300)


async def test_the_api_server_away_and_back(server: FakeServer, start: Start) -> None:
    """The flow stays in force, and what changed meanwhile is caught up with."""
    server.put("integrations", "web", spec=WEB)
    server.put("alertroutes", "disk", spec=ROUTE)
    async with start() as tocsin:
        await until(lambda: tocsin.routes == {"disk"} and tocsin.signals.figures.up())
        await server.__aexit__()
        server.put("alertroutes", "more", spec=ROUTE)
        server.objects.pop(("alertroutes", "n", "disk"))
        await asyncio.sleep(1)
        assert tocsin.routes == {"disk"} and tocsin.live.not_ready == ""
        server.version += 1
        await server.__aenter__()
        await until(lambda: tocsin.routes == {"more"}, 60)
        await until(lambda: is_ready(server, "alertroutes", "more"), 60)


async def test_a_watch_that_went_deaf_is_begun_anew(
    server: FakeServer, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweep finds what the watch should have told."""
    server.put("integrations", "web", spec=WEB)
    async with start() as tocsin:
        await until(lambda: tocsin.signals.figures.up() and is_ready(server, "integrations", "web"))
        await asyncio.sleep(2 * sweep.AFTER_RELIST)
        tell, server._tell = server._tell, lambda *_: None  # type: ignore[method-assign]
        server.put("alertroutes", "disk", spec=ROUTE)
        shift = tocsin.operator._shift
        assert shift is not None
        for resource in shift._options.scope.resources():
            shift._sweeper.request(resource, after=0)
        await until(lambda: tocsin.routes == {"disk"})
        await until(lambda: tocsin.signals.figures.missed_events >= 1)
        server._tell = tell  # type: ignore[method-assign]
        await until(lambda: shift.watch.restarts >= 1)
        server.put("alertroutes", "again", spec=ROUTE)
        await until(lambda: "again" in tocsin.routes)


async def test_objects_of_another_class_are_not_seen(server: FakeServer, start: Start) -> None:
    """Several Tocsins in one cluster: a label says whose an object is."""
    server.put("integrations", "web", spec=WEB)
    server.put("alertroutes", "ours", spec=ROUTE)
    server.put("alertroutes", "theirs", spec=ROUTE, labels={"tocsin.dev/class": "staging"})
    async with start() as tocsin:
        await until(lambda: is_ready(server, "alertroutes", "ours"))
        assert tocsin.routes == {"ours"}
        server.put("alertroutes", "theirs", labels={})
        await until(lambda: tocsin.routes == {"ours", "theirs"})
    server.put("integrations", "web", labels={"tocsin.dev/class": "staging"})
    server.put("alertroutes", "theirs", labels={"tocsin.dev/class": "staging"})
    async with start(scope=Scope(namespaces=("n",), instance="staging")) as tocsin:
        await until(lambda: tocsin.routes == {"theirs"})


async def test_an_unlabelled_secret_is_read_again_and_a_labelled_one_watched(
    server: FakeServer, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both end in the store; the labelled one within the debounce."""
    monkeypatch.setattr("tocsin.control.kubernetes.shift.REFRESH_EVERY", 1.0)
    auth = {"mode": "Bearer", "bearer": {"secretRef": {"name": "s", "key": "k"}}}
    server.put("integrations", "web", spec={**WEB, "auth": auth})
    server.put("secrets", "s", type="Opaque", data={"k": "Zmlyc3Q="})
    assert references.REFRESH_EVERY == 60.0
    async with start() as tocsin:

        async def stored() -> bytes | None:
            from tocsin.store.credentials import load_secrets

            found = await tocsin.store.read(lambda c: load_secrets(c, tocsin.store.keys))
            return found.get(("n", "s", "k"))

        async def until_stored(value: bytes) -> None:
            async with asyncio.timeout(30):
                while await stored() != value:
                    await asyncio.sleep(0.02)

        await until_stored(b"first")
        server.put("secrets", "s", data={"k": "c2Vjb25k"})
        await until_stored(b"second")
        monkeypatch.setattr("tocsin.control.kubernetes.shift.REFRESH_EVERY", 3600.0)
        await asyncio.sleep(1.1)
        server.put("secrets", "s", data={"k": "dGhpcmQ="}, labels={"tocsin.dev/watch": "true"})
        await until_stored(b"third")
        server.delete("secrets", "s")
        await until(lambda: condition(server, "integrations", "web", "ResolvedRefs")[0] == "False")


async def test_taking_over_writes_nothing(
    server: FakeServer, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slow everything is: what the leader before has proven, and the Secrets that it wrote, are not in doubt."""
    server.put("integrations", "web", spec=WEB)
    server.put("alertroutes", "disk", spec=ROUTE)
    async with start():
        await until(lambda: is_ready(server, "integrations", "web"))
        await until(lambda: is_ready(server, "alertroutes", "disk"))
    monkeypatch.setattr("tocsin.control.kubernetes.shift._GRACE", 0.0)
    secrets_before, before = len(server.writes("/secrets")), len(server.writes("/status"))
    lease = {"holderIdentity": "other", "leaseDurationSeconds": 2, "renewTime": "x", "leaseTransitions": 6}
    server.put("leases", "tocsin", spec=lease)
    async with start() as tocsin:
        await until(lambda: tocsin.signals.figures.up())  # noqa: PLW0108 -- set later
        swept = tocsin.operator._shift._swept  # a sweep may end at any moment
        while not tocsin.operator.leads or tocsin.signals.figures.publications < 1:
            for resource in tocsin.operator._options.scope.resources():
                swept(resource)
            await asyncio.sleep(0)
        await asyncio.sleep(2)
    assert (len(server.writes("/secrets")), len(server.writes("/status"))) == (secrets_before, before)


async def test_a_second_process_stands_by_and_takes_over_with_a_higher_epoch(
    server: FakeServer, start: Start
) -> None:
    """The Lease is another's until it is released."""
    server.put("integrations", "web", spec=WEB)
    server.put(
        "leases",
        "tocsin",
        spec={
            "holderIdentity": "other",
            "leaseDurationSeconds": 2,
            "renewTime": "x",
            "leaseTransitions": 6,
        },
    )
    async with start() as tocsin:
        await until(lambda: tocsin.signals.figures.up())  # noqa: PLW0108 -- set later
        assert not tocsin.operator.leads and tocsin.live.revision == 0
        await until(lambda: tocsin.operator.leads)
        await until(lambda: is_ready(server, "integrations", "web"))
        current = await tocsin.store.read(revisions.current)
        assert current is not None and current.epoch == 7
