"""Logs and metrics: shapes, masks, and a documentation that says what there is."""

from __future__ import annotations

import io
import json
import logging
import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from receiving import integration

from tocsin.api.outgoingwebhook import Trigger
from tocsin.console.metrics import StoreMetrics
from tocsin.control.kubernetes.admission.judge import Judge
from tocsin.control.kubernetes.admission.server import Desk
from tocsin.control.kubernetes.problems import Signals
from tocsin.dispatch.deliveries.meters import DeliveryMeters
from tocsin.dispatch.deliveries.watchdog import pings
from tocsin.dispatch.meters import EngineMeters, Meters
from tocsin.dispatch.webhooks.attempt import Attempt
from tocsin.dispatch.webhooks.attempt import Meters as WebhookMeters
from tocsin.flow.model import Micros
from tocsin.notify.channel import FailureReason
from tocsin.problems import Problem, malformed, method_not_allowed, unavailable
from tocsin.receive.environment import Environment
from tocsin.telemetry import Telemetry, standard_handler

DOCUMENT = Path(__file__).parents[2] / "docs/metrics.md"


def test_logs_are_lines_of_json_with_secrets_masked() -> None:
    """Secret-looking keys, and the token in every text that holds an endpoint's path, tracebacks included."""
    stream = io.StringIO()
    log = Telemetry.create(stream=stream).log
    url = "/integrations/v1/webhook/abcdefghijklmnopqrst/heartbeat/"
    log.info("x", authorization="Bearer t", token="t", url=f"http://h{url}?a=1", count=1)
    try:
        raise RuntimeError(f"failed at {url}")
    except RuntimeError as error:
        log.error("y", exc_info=error)  # noqa: TRY400 -- how the receiver calls it
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert first["level"] == "info"
    assert first["count"] == 1
    assert first["authorization"] == first["token"] == "[redacted]"
    assert first["url"] == "http://h/integrations/v1/webhook/[redacted]/heartbeat/?a=1"
    assert "RuntimeError: failed at /integrations/v1/webhook/[redacted]/heartbeat/" in second["exception"]
    assert "abcdefghijklmnopqrst" not in stream.getvalue()


def test_levels_and_text() -> None:
    stream = io.StringIO()
    log = Telemetry.create(level="WARNING", log_format="text", stream=stream).log
    log.info("quiet")
    log.warning("loud", integration="default/a")
    assert "quiet" not in stream.getvalue()
    assert re.search(r"loud\s+integration=default/a", stream.getvalue())
    with pytest.raises(ValueError, match="use one of"):
        Telemetry.create(level="chatty")


def test_records_of_libraries_have_the_same_shape() -> None:
    """`logging` is joined by a handler; nothing global is touched."""
    stream = io.StringIO()
    logger = logging.Logger("library")  # noqa: LOG001 -- not known to anyone else
    logger.addHandler(standard_handler("json", stream))
    logger.warning("seen %s", "/integrations/v1/webhook/abcdefghijklmnopqrst/")
    shown = json.loads(stream.getvalue())
    assert (shown["event"], shown["logger"], shown["level"]) == (
        "seen /integrations/v1/webhook/[redacted]/",
        "library",
        "warning",
    )


def test_two_processes_worth_of_telemetry_live_side_by_side() -> None:
    """No globals: registries are independent."""
    first, second = Telemetry.create(), Telemetry.create()
    Environment.create(first)
    Environment.create(second)
    assert first.registry is not second.registry


def test_problems_say_what_where_and_what_to_do() -> None:
    """RFC 9457 members, our field and action, facts beside them, and the headers that the status needs."""
    problem = malformed("broken", action="mend it", line=3).with_facts(column=4)
    assert json.loads(problem.body()) == {
        "type": "https://tocsin.dev/problems/malformed-body",
        "title": "Bad Request",
        "status": 400,
        "detail": "broken",
        "field": "body",
        "action": "mend it",
        "line": 3,
        "column": 4,
    }
    assert unavailable("x", "y", retry_after=7).header_items() == (("Retry-After", "7"),)
    response = method_not_allowed("PUT", ("GET", "HEAD")).response()
    assert (response.status, response.content_type, response.headers["Allow"]) == (
        405,
        "application/problem+json",
        "GET, HEAD",
    )
    assert "field" not in json.loads(Problem(status=500, kind="k", detail="d").body())


def documented() -> dict[str, tuple[str, str]]:
    """Name -> (type, labels) of the tables in docs/metrics.md."""
    rows = re.findall(r"^\| `(tocsin_[a-z0-9_]+)` \| (\w+) \|([^|]*)\|", DOCUMENT.read_text(), re.MULTILINE)
    assert len({name for name, _, _ in rows}) == len(rows), "a metric is documented twice"
    return {name: (kind, labels.replace("`", "").strip()) for name, kind, labels in rows}


def _dispatcher(registry: CollectorRegistry) -> None:
    """What a dispatcher registers, each series once."""
    Meters(registry)
    EngineMeters(registry).ran("event", 0)
    messages = DeliveryMeters(registry)
    messages.attempted("slack", 0.1, FailureReason.TIMEOUT)
    messages.failed("slack", "group", FailureReason.TIMEOUT)
    messages.told("ann", 1)
    WebhookMeters(registry).ran(Trigger.RESOLVE, Attempt(dropped="gone"))
    pings(registry).labels("sent").inc()


def _operator(telemetry: Telemetry) -> None:
    """The same of an operator."""
    signals = Signals.create(telemetry)
    signals.age.note("Integration")
    signals.problems.report("Integration", "Forbidden", "cannot be listed")
    signals.figures.count("status", "done")
    signals.figures.objects = lambda: {("Integration", "accepted"): 1}
    Desk(Judge({}, among=lambda: None, now=lambda: Micros(0)), telemetry)


async def test_the_documentation_lists_every_metric_and_no_other(receiver) -> None:
    """Names, types and labels in docs/metrics.md are those of the registry."""
    running = await receiver(integration("a", heartbeat={"interval": "5m"}), integration("s", suspend=True))
    for body in (b"{}", b"nonsense"):
        await running.post("a", body)
    await running.post("s", b"{}")
    await running.request("GET", running.url("a", "heartbeat/"))
    registry = running.environment.telemetry.registry
    _dispatcher(registry)
    _operator(running.environment.telemetry)
    StoreMetrics(running.store, running.live).register(registry)
    shown = documented()
    found = {}
    for family in registry.collect():
        if family.name.startswith("tocsin_"):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            found[name] = family.type
            for sample in family.samples:
                labels = sorted(label for label in sample.labels if label != "le")
                assert ", ".join(labels) == shown.get(name, ("", ""))[1], name
    assert {name: kind for name, (kind, _) in shown.items()} == found


async def test_labels_are_bounded_by_what_is_declared(receiver) -> None:
    """What unknown senders do is counted under one empty label; a deleted Integration's series end."""
    running = await receiver(integration("a"), integration("b"))
    for number in range(5):
        await running.request("POST", f"/integrations/v1/webhook/unknown-token-{number:08}/", b"{}")
    assert running.metric("tocsin_requests_refused_total", integration="", reason="unknown-token") == 5
    await running.post("b", b"{}")
    assert running.metric("tocsin_routes_matched_total", integration="default/b", route="default") == 1
    await running.delete("b", until=0)
    await running.post("a", b"{}")
    page = (await running.request("GET", "/metrics")).body.decode()
    assert 'integration="default/a"' in page
    assert "default/b" not in page


async def test_failing_templates_and_dropped_labels_are_counted(receiver) -> None:
    """Each kind of failure, per Integration."""
    running = await receiver(integration("a", templates={"groupingId": "{{ payload.n > 5 }}"}))
    await running.post("a", b'{"n": "text"}')
    page = (await running.request("GET", "/metrics")).body.decode()
    assert re.search(r'tocsin_template_errors_total\{integration="default/a",kind="\w+"\} 1.0', page)


async def test_floods_of_faults_are_logged_once_with_their_number(receiver) -> None:
    """One line in ten seconds per Integration and kind, with the count of what was left out."""
    running = await receiver(integration("a"))
    for _ in range(20):
        await running.post("a", b"nonsense")
    running.clock[0] += 11
    await running.post("a", b"nonsense")
    lines = [json.loads(line) for line in running.log.getvalue().splitlines() if "request refused" in line]
    assert [line["left_out"] for line in lines] == [0, 19]
    assert lines[0]["reason"] == "malformed-body"
    assert (
        running.metric("tocsin_requests_refused_total", integration="default/a", reason="malformed-body")
        == 21
    )
