"""Outgoing webhooks end to end: from what happens to a group to the request and what is kept of it."""

from __future__ import annotations

import asyncio
import base64

import pytest
from delivering import SECOND, integration, obj, responder, secret_ref
from hooking import Hooks, headers_of

from tocsin.api.common import Identity
from tocsin.api.outgoingwebhook import Trigger
from tocsin.dispatch import triggers
from tocsin.dispatch.webhooks.worker import lease_of
from tocsin.flow.escalation.run import start
from tocsin.flow.escalation.snapshot import take
from tocsin.flow.groups import AUTOMATIC, LogKind
from tocsin.flow.model import Micros, Target
from tocsin.store import actions, deliveries, escalations, events
from tocsin.store.deliveries import DeliveryState
from tocsin.store.escalations import Escalation
from tocsin.store.events import Event

SILENCED_FOR = 600_000_000


async def test_each_status_event_is_sent_under_its_own_name(hooks: Hooks, engine: str) -> None:
    """A webhook of status changes is told which change it was, by whom and when; only a silence says until when.

    Rules: R-WHK-3, R-WHK-8
    """
    await hooks.apply(integration(), hooks.webhook(), responder("ann", email="ann@example.org"))
    group = (await hooks.alert(title="Disk")).number
    until = Micros(hooks.now + SILENCED_FOR)
    for verb in ("acknowledge", "unacknowledge", "silence", "unsilence", "resolve", "unresolve"):
        await hooks.act(group, verb, **({"until": until} if verb == "silence" else {}))
    await hooks.tell()
    told = hooks.bodies()
    assert [body["event"]["type"] for body in told] == [
        "acknowledge",
        "unacknowledge",
        "silence",
        "unsilence",
        "resolve",
        "unresolve",
    ]
    assert [("until" in body["event"]) for body in told] == [False, False, True, False, False, False]
    assert told[0]["user"] == {
        "id": told[0]["user"]["id"],
        "username": "ann",
        "email": "ann@example.org",
    }


def test_only_these_entries_raise_events() -> None:
    """Wipes, deletions and whatever else stands in a log set off nothing; an un-acknowledge by timeout does (S-25)."""
    raised = {}
    for kind in LogKind:
        event = Event(id=1, group=1, at=Micros(1), kind=kind, actor=AUTOMATIC, reason="", details={})
        order = triggers.of_event(event)
        if order is not None:
            raised[kind] = order.event
    assert raised == {
        LogKind.REGISTERED: Trigger.ALERT_GROUP_CREATED,
        LogKind.ACKNOWLEDGED: Trigger.ACKNOWLEDGE,
        LogKind.UNACKNOWLEDGED: Trigger.UNACKNOWLEDGE,
        LogKind.UNACKNOWLEDGED_BY_TIMEOUT: Trigger.UNACKNOWLEDGE,
        LogKind.SILENCED: Trigger.SILENCE,
        LogKind.UNSILENCED: Trigger.UNSILENCE,
        LogKind.RESOLVED: Trigger.RESOLVE,
        LogKind.UNRESOLVED: Trigger.UNRESOLVE,
    }


async def test_an_action_that_lifts_another_is_one_event(hooks: Hooks) -> None:
    """Acknowledging a silenced group unsilences it: only the acknowledgement is told."""
    await hooks.apply(integration(), hooks.webhook())
    group = (await hooks.alert()).number
    await hooks.act(group, "silence")
    await hooks.act(group, "acknowledge")
    await hooks.tell()
    assert [body["event"]["type"] for body in hooks.bodies()] == ["silence", "acknowledge"]


async def test_a_source_has_no_user(hooks: Hooks) -> None:
    """What the source resolves is an event like any other, with nobody behind it.

    Rules: R-WHK-5
    """
    resolve = {"groupingId": "{{ payload.id }}", "resolve": "{{ payload.ok }}"}
    await hooks.apply(integration(templates=resolve), hooks.webhook(triggers=["Resolve"]))
    await hooks.alert(id=1)
    await hooks.alert(id=1, ok="true")
    await hooks.tell()
    (body,) = hooks.bodies()
    assert (body["event"]["type"], body["user"], body["alert_group_resolved_by"]) == ("resolve", None, None)


async def test_attached_groups_raise_events_of_their_own(hooks: Hooks) -> None:
    """Resolving the root resolves what is attached, and each is told.

    Rules: R-WHK-6
    """
    await hooks.apply(integration(), hooks.webhook(triggers=["Resolve"]))
    root, child = (await hooks.alert(n=1)).number, (await hooks.alert(n=2)).number
    await hooks.store.write(lambda c: actions.attach(c, child, root, now=hooks.now))
    await hooks.act(root, "resolve")
    await hooks.tell()
    assert sorted(body["alert_group"]["number"] for body in hooks.bodies()) == [root, child]


async def test_the_integration_filter(hooks: Hooks) -> None:
    """Other Integrations leave no trace at all; without a filter it is the whole namespace's.

    Rules: R-WHK-13
    """
    await hooks.apply(
        integration("web"),
        integration("db"),
        hooks.webhook("all"),
        hooks.webhook("db", integrationRefs=[{"name": "db"}]),
    )
    targets = hooks.live.program.targets
    web, db = (Identity("Integration", "default", name) for name in ("web", "db"))
    other = Identity("Integration", "elsewhere", "web")
    assert triggers.webhooks_for(targets, web, Trigger.RESOLVE) == ("default/all",)
    assert triggers.webhooks_for(targets, db, Trigger.RESOLVE) == ("default/all", "default/db")
    assert triggers.webhooks_for(targets, other, Trigger.RESOLVE) == ()
    assert triggers.webhooks_for(targets, db, Trigger.ALERT_GROUP_CREATED) == ()


async def test_all_that_is_known_is_sent(hooks: Hooks) -> None:
    """Without a body template the whole data goes out as JSON; what other webhooks answered is part of it.

    Rules: R-WHK-11, R-WHK-23
    """
    await hooks.apply(
        integration(title="Web shop", team="payments", labels=[{"key": "env", "value": "prod"}]),
        hooks.webhook("first"),
        hooks.webhook("hook"),
        responder("ann"),
    )
    group = (await hooks.alert(severity="high", nested={"a": [1, None]})).number
    await hooks.ask_for(group, "first")
    await hooks.alert(severity="high", nested={"a": [1, None]})
    await hooks.ask_for(group)
    body = hooks.bodies()[-1]
    assert body["event"]["type"] == "escalation"
    assert body["alert_payload"] == {"severity": "high", "nested": {"a": [1, None]}}
    assert body["alert_group_id"] == body["alert_group"]["id"]
    assert body["alert_group"]["state"] == "firing"
    assert body["alert_group"]["last_alert"]["payload"]["severity"] == "high"
    assert body["integration"]["name"] == "Web shop"
    assert (body["integration"]["type"], body["integration"]["team"]) == ("webhook", "payments")
    assert body["integration"]["labels"] == {"env": "prod"}
    assert body["responses"] == {"default/first": {}}
    assert body["users_to_be_notified"] == body["notified_users"] == []
    assert body["webhook"] == {"id": "default/hook", "name": "hook"}


async def test_templates_make_the_request(hooks: Hooks) -> None:
    """URL, headers, body, credentials: each from its own field, secrets last; kept with credentials masked.

    Rules: R-WHK-16, R-WHK-21, R-WHK-22
    """
    hooks.secrets |= {"user": "tocsin", "password": "pa55-word", "key": "k3y-of-vendor"}
    await hooks.apply(
        integration(),
        hooks.webhook(
            method="PUT",
            url=hooks.sink.base + "/hook/{{ alert_payload.id }}?q={{ event.type | urlencode }}",
            headers={"X-Severity": "{{ payload.severity }}", "X-Key": "overwritten"},
            body='{"text": "{{ alert_payload.text }}", "group": "{{ alert_group.title }}"}',
            basicAuth={"usernameSecretRef": secret_ref("user"), "passwordSecretRef": secret_ref("password")},
            secretHeaders=[{"name": "x-key", "valueSecretRef": secret_ref("key")}],
        ),
    )
    text = 'say "hi"\n\\ {"a": 1}'
    group = (await hooks.alert(id=7, severity="high", text=text)).number
    await hooks.ask_for(group)
    (hit,) = hooks.sink.at("hook")
    assert hit.path == "/hook/7"
    assert hit.body["text"] == text
    given = {name.lower(): value for name, value in hit.headers.items()}
    assert given["x-severity"] == "high"
    assert given["x-key"] == "k3y-of-vendor"
    assert given["authorization"] == "Basic " + base64.b64encode(b"tocsin:pa55-word").decode()
    assert given["content-type"] == "application/json"
    (run,) = await hooks.runs()
    assert (run.status, run.ok, run.method, run.field) == (200, True, "PUT", "")
    shown = headers_of(run)
    assert shown["Authorization"] == shown["x-key"] == "*" * 16
    assert "pa55-word" not in str(run)
    assert ("webhook_triggered", "200") in await hooks.entries(group)


async def test_a_secret_url_is_never_shown(hooks: Hooks) -> None:
    """Neither in the run, nor in an error, even if the far end repeats it."""
    hooks.secrets["url"] = f"{hooks.sink.base}/hook/T0KEN-of-the-url"
    await hooks.apply(integration(), hooks.webhook(url=None, urlSecretRef=secret_ref("url")))
    group = (await hooks.alert()).number
    await hooks.ask_for(group)
    assert len(hooks.sink.at("hook")) == 1
    hooks.secrets["url"] = "http://127.0.0.1:9/T0KEN-of-the-url"
    await hooks.publish()
    await hooks.ask_for(group)
    assert "T0KEN" not in str(await hooks.runs()) + str(await hooks.entries(group)) + hooks.log.getvalue()


@pytest.mark.parametrize(
    ("field", "spec", "words"),
    [
        ("condition", {"condition": "{{ 1 / 0 }}"}, "division by zero"),
        ("url", {"url": "{{ alert_payload.nothing }}"}, "no http or https URL"),
        ("url", {"url": "https://"}, "no http or https URL"),
        ("url", {"url": "https://tocsin.example/api"}, "leads to Tocsin itself"),
        ("headers", {"headers": {"X-A": "{{ alert_payload.lines }}"}}, "line break"),
        ("body", {"body": "{{ 1 / 0 }}"}, "division by zero"),
        (
            "credentials",
            {"secretHeaders": [{"name": "X-K", "valueSecretRef": secret_ref("none")}]},
            "Secret default/secrets has no value for key none",
        ),
    ],
)
async def test_what_cannot_be_rendered_is_not_sent(hooks: Hooks, field: str, spec: dict, words: str) -> None:
    """The run says which part failed and why, the group's log too; it is not tried again.

    Rules: R-WHK-18
    """
    await hooks.apply(integration(), hooks.webhook(**spec))
    group = (await hooks.alert(lines="a\nb: c")).number
    await hooks.ask_for(group)
    assert not hooks.sink.hits
    (run,) = await hooks.runs()
    assert run.field == field
    assert words in run.error
    assert any(kind == "escalation_failed" and words in reason for kind, reason in await hooks.entries(group))
    assert await hooks.later(3600) == 0


@pytest.mark.parametrize(
    ("condition", "runs"), [("true", 1), (" 1\n", 1), ("OK", 1), ("false", 0), ("{{ '' }}", 0), ("yes", 0)]
)
async def test_a_condition_decides(hooks: Hooks, condition: str, runs: int) -> None:
    """As everywhere in Tocsin; what it holds back is kept with what the condition gave, and not in the group's log."""
    await hooks.apply(integration(), hooks.webhook(condition=condition))
    group = (await hooks.alert()).number
    await hooks.ask_for(group)
    assert len(hooks.sink.hits) == runs
    (run,) = await hooks.runs()
    assert run.ok
    logged = [kind for kind, _ in await hooks.entries(group) if kind == "webhook_triggered"]
    assert len(logged) == runs


async def test_the_condition_comes_first(hooks: Hooks) -> None:
    """A webhook that is not to run fails at nothing: its URL is not even rendered.

    Rules: R-WHK-12
    """
    await hooks.apply(integration(), hooks.webhook(condition="false", url="{{ 1 / 0 }}"))
    await hooks.ask_for((await hooks.alert()).number)
    assert [run.field for run in await hooks.runs()] == ["condition"]


@pytest.mark.parametrize("method", ["GET", "DELETE", "OPTIONS"])
async def test_methods_without_a_body(hooks: Hooks, method: str) -> None:
    """Only POST, PUT and PATCH have one."""
    await hooks.apply(integration(), hooks.webhook(method=method))
    await hooks.ask_for((await hooks.alert()).number)
    assert hooks.bodies() == [""]


async def test_bodies(hooks: Hooks) -> None:
    """What is JSON is sent as JSON, the rest as text; values in quotes cannot leave them, `tojson` gets them as they are.

    Rules: R-WHK-17
    """
    text = '", "admin": true, "x": "'
    bodies = {
        "quoted": '{"t": "{{ alert_payload.t }}"}',
        "tojson": '{"t": {{ alert_payload.t | tojson }}}',
        "whole": "{{ alert_payload | tojson }}",
        "text": "t is {{ alert_payload.n }}",
    }
    await hooks.apply(
        integration(),
        *(hooks.webhook(name, triggers=["Escalation"], body=body) for name, body in bodies.items()),
    )
    group = (await hooks.alert(t=text, n=5)).number
    for name in bodies:
        await hooks.ask_for(group, name)
    assert hooks.bodies("quoted") == hooks.bodies("tojson") == [{"t": text}]
    assert hooks.bodies("whole") == [{"t": text, "n": 5}]
    assert hooks.bodies("text") == ["t is 5"]
    assert hooks.sink.at("text")[0].headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("answer", "tries"), [(404, 1), (400, 1), (503, 4), ((429, {"Retry-After": "2"}), 4)]
)
async def test_answers_that_are_refusals(hooks: Hooks, answer: object, tries: int) -> None:
    """4xx are final; overload is tried again, at most four times in all, each with a run and the same key."""
    hooks.sink.always["hook"] = answer
    await hooks.apply(integration(), hooks.webhook())
    group = (await hooks.alert()).number
    await hooks.ask_for(group)
    for _ in range(6):
        await hooks.later(60)
    runs = await hooks.runs()
    assert len(runs) == len(hooks.sink.hits) == tries
    assert len({hit.key for hit in hooks.sink.hits}) == 1
    assert not any(run.ok for run in runs)
    (kept,) = await hooks.store.read(lambda c: deliveries.list_deliveries(c, group=group))
    assert kept.state is DeliveryState.FAILED


async def test_redirects_are_not_followed(hooks: Hooks) -> None:
    """The answer is kept as it is: whatever it leads to was not judged.

    Rules: R-WHK-15
    """
    hooks.sink.always["hook"] = (302, {"Location": f"{hooks.sink.base}/other"})
    await hooks.apply(integration(), hooks.webhook())
    await hooks.ask_for((await hooks.alert()).number)
    assert [hit.path for hit in hooks.sink.hits] == ["/hook"]
    assert [run.status for run in await hooks.runs()] == [302]


async def test_private_addresses_are_refused(hooks: Hooks) -> None:
    """Where nobody allowed them: said in the run, with what to do, and final."""
    await hooks.apply(integration(), hooks.webhook(url="http://10.1.2.3/x"))
    await hooks.ask_for((await hooks.alert()).number)
    (run,) = await hooks.runs()
    assert "private" in run.error
    assert await hooks.later(3600) == 0


async def test_a_large_answer_is_not_kept(hooks: Hooks) -> None:
    """A note stands for it.

    Rules: R-WHK-20
    """

    async def large(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n" + b"x" * 60_000)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(large, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await hooks.apply(integration(), hooks.webhook(url=f"http://127.0.0.1:{port}/", method="GET"))
    await hooks.ask_for((await hooks.alert()).number)
    (run,) = await hooks.runs()
    assert run.response == "the answer is larger than 50,000 bytes and was not kept"
    server.close()
    await server.wait_closed()


async def test_a_webhook_that_is_gone(hooks: Hooks) -> None:
    """A suspended or deleted webhook that a chain asks for is an error in the group's log, not a silence.

    Rules: R-WHK-9
    """
    await hooks.apply(integration(), hooks.webhook(suspend=True))
    group = (await hooks.alert()).number
    await hooks.ask_for(group)
    assert any(
        "there is no OutgoingWebhook default/hook" in reason for _, reason in await hooks.entries(group)
    )


async def test_one_that_hangs_delays_no_other(hooks: Hooks) -> None:
    """While a far end does not answer, other webhooks run; its own later events keep their order."""
    hooks.sink.answers["slow"].append("hang")
    await hooks.apply(integration(), hooks.webhook("slow", timeout="30s"), hooks.webhook("quick"))
    group = (await hooks.alert()).number
    running = asyncio.create_task(hooks.hooks.run())
    for verb in ("acknowledge", "resolve"):
        await hooks.act(group, verb)
    await hooks.store.write(hooks._events)
    hooks.hooks.wake()
    async with asyncio.timeout(20):
        while len(hooks.sink.at("quick")) < 2:
            await hooks.sink.arrived.wait()
            hooks.sink.arrived.clear()
    assert len(hooks.sink.at("slow")) == 1
    hooks.sink.release.set()
    async with asyncio.timeout(20):
        while len(await hooks.runs("slow")) < 2:
            await asyncio.sleep(0.02)
    assert [body["event"]["type"] for body in hooks.bodies("slow")] == ["acknowledge", "resolve"]
    hooks.hooks.stop()
    await running


async def test_a_crash_between_sending_and_recording(hooks: Hooks) -> None:
    """The run is made again by whoever comes after the lease, with the same key; nothing is lost."""
    await hooks.apply(integration(), hooks.webhook())
    group = (await hooks.alert()).number
    await hooks.act(group, "resolve")
    await hooks.store.write(hooks._events)
    now = hooks.now
    await hooks.store.write(
        lambda c: deliveries.claim(c, "dead", limit=9, now=now, lease=60_000_000, kinds=("webhook",))
    )
    assert await hooks.hooks.run_due() == 0
    assert await hooks.later(61) == 1
    assert len(hooks.sink.hits) == 1
    assert await hooks.store.read(events.backlog) == 0


async def test_a_run_waits_no_longer_for_a_dead_process_than_its_batch_could_take(hooks: Hooks) -> None:
    """Eight runs of one group, one after another: with webhooks of 4 s a claim ends after 42 s, with one of 60 s after
    490 s. So no other dispatcher repeats what is still on its way.
    """
    await hooks.apply(hooks.webhook())
    assert lease_of(hooks.live.program) == 42 * SECOND
    await hooks.apply(hooks.webhook("slow", timeout="60s"))
    assert lease_of(hooks.live.program) == 490 * SECOND


async def test_whose_turn_it_is(hooks: Hooks) -> None:
    """The next one of a round robin is named in the order of the escalation itself: by user name, who is there only."""
    refs = [{"name": name} for name in ("ann", "bob", "gone")]
    await hooks.apply(
        integration(defaultRoute={"escalationChainRef": {"name": "chain"}}),
        obj("EscalationChain", "chain", steps=[{"notifyNextResponder": {"responderRefs": refs}}]),
        responder("ann", username="zoe"),
        responder("bob", username="bob"),
        hooks.webhook(),
    )
    group = (await hooks.alert()).number
    targets = hooks.live.program.targets
    snapshot = take(Target(escalation_chain="default/chain"), "default", targets)
    run = start(snapshot, hooks.now)
    row = Escalation(group=group, run=run, resume_at=None, seen_alert=None, finished_at=None)
    await hooks.store.write(lambda c: escalations.put(c, [row]))
    for last, expected in ((None, "bob"), ("default/bob", "zoe"), ("default/ann", "bob")):
        if last is not None:
            turn = {("default/chain", "0"): last}
            await hooks.store.write(lambda c, turn=turn: escalations.take_turns(c, turn))
        hooks.clock.moment = Micros(hooks.now + 1)
        await hooks.ask_for(group)
        assert [user["username"] for user in hooks.bodies()[-1]["users_to_be_notified"]] == [expected]
