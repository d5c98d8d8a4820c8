"""PagerDuty, Opsgenie, ntfy, Pushover and Twilio against servers that demand what the vendors' documentation demands."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from aiohttp import web
from services import SECRET, Service, channel, close, message, start

from tocsin.flow.groups import State
from tocsin.notify.channel import Channel, DeliveryFailed, FailureReason
from tocsin.notify.message import BundleItem, Recipient

Serve = Callable[[Any, Any], Awaitable[Service]]
HUGE = {"title": "T" * 5_000, "text": "x" * 200_000}


@pytest.fixture(autouse=True)
async def _closing() -> AsyncIterator[None]:
    yield
    await close()


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    runners: list[web.AppRunner] = []

    async def run(rule: Any, usual: Any) -> Service:
        service = Service(rule=rule, usual=usual)
        runners.append(await start(service))
        return service

    yield run
    for runner in runners:
        await runner.cleanup()


def refuse(status: int, **document: Any) -> web.Response:
    return web.json_response(document, status=status)


# --- what each vendor demands ---------------------------------------------------------------------------------------


def pagerduty_rule(request: web.Request, body: Any) -> web.Response | None:
    def invalid(why: str) -> web.Response:
        return refuse(400, status="invalid event", message="Event object is invalid", errors=[why])

    if request.path != "/v2/enqueue" or request.method != "POST":
        return refuse(404)
    if body.get("routing_key") != SECRET:
        return invalid("Invalid routing key")
    if body.get("event_action") not in {"trigger", "acknowledge", "resolve"}:
        return invalid("event_action")
    if not 0 < len(body.get("dedup_key", "")) <= 255:
        return invalid("dedup_key")
    if body["event_action"] == "trigger":
        payload = body["payload"]
        if not 0 < len(payload["summary"]) <= 1024 or not payload["source"]:
            return invalid("Length of 'payload.summary' is incorrect (should be 1024)")
        if payload["severity"] not in {"critical", "warning", "error", "info"}:
            return invalid("severity")
    if request.content_length is None or request.content_length > 512 * 1024:
        return refuse(413)
    return None


def opsgenie_rule(request: web.Request, body: Any) -> web.Response | None:
    if request.headers.get("Authorization") != f"GenieKey {SECRET}":
        return refuse(401, message="Could not authenticate")
    limits = {"message": 130, "alias": 512, "description": 15_000, "source": 100, "entity": 512}
    for name, limit in limits.items():
        if len(body.get(name, "")) > limit:
            return refuse(422, message="Request body is not processable", errors={name: "too long"})
    if request.path == "/v2/alerts" and (not body.get("message") or body["priority"] not in {"P1", "P3"}):
        return refuse(422, message="message can not be empty")
    if len(body.get("tags", [])) > 20 or any(len(tag) > 50 for tag in body.get("tags", [])):
        return refuse(422, message="tags")
    return None


def ntfy_rule(request: web.Request, body: Any) -> web.Response | None:
    if request.headers.get("Authorization") != f"Bearer {SECRET}":
        return refuse(403, code=40301, error="forbidden")
    if not body.get("topic") or not 1 <= body.get("priority", 3) <= 5:
        return refuse(400, code=40009, error="invalid request: topic invalid")
    if len(body["message"].encode()) > 4096:
        return refuse(413, error="message too large")
    return None


def pushover_rule(request: web.Request, body: Any) -> web.Response | None:
    errors = []
    if body.get("token") != SECRET:
        errors.append("application token is invalid")
    if len(body.get("message", "")) not in range(1, 1025) or len(body.get("title", "")) > 250:
        errors.append("message cannot be blank or too long")
    if len(body.get("url", "")) > 512 or body["priority"] not in {0, 1}:
        errors.append("url is too long")
    return refuse(400, status=0, errors=errors, request="r-1") if errors else None


def twilio_rule(request: web.Request, body: Any) -> web.Response | None:
    if request.headers.get("Authorization") != "Basic " + b64encode(f"AC1:{SECRET}".encode()).decode():
        return refuse(401, code=20003, message="Authenticate")
    if request.content_type != "application/x-www-form-urlencoded" or not body.get("From"):
        return refuse(400, code=21603, message="A 'From' phone number is required.")
    if not body.get("To", "").startswith("+49"):
        return refuse(400, code=21211, message=f"The 'To' number {body.get('To')} is not valid.")
    if request.path.endswith("/Messages.json") and not 0 < len(body.get("Body", "")) <= 1600:
        return refuse(400, code=21617, message="The message body exceeds the 1600 character limit.")
    if request.path.endswith("/Calls.json"):
        root = ET.fromstring(body["Twiml"])  # a call fails on TwiML that is no XML
        if root.tag != "Response" or len(body["Twiml"]) > 4000:
            return refuse(400, code=21205, message="Twiml")
    return None


PAGERDUTY = {"pagerduty": {"routingKeySecretRef": {"name": "pager", "key": "token"}}}
OPSGENIE = {"opsgenie": {"apiKeySecretRef": {"name": "pager", "key": "token"}}}
NTFY = {"ntfy": {"topic": "night", "tokenSecretRef": {"name": "pager", "key": "token"}}}
PUSHOVER = {
    "pushover": {
        "tokenSecretRef": {"name": "pager", "key": "token"},
        "userSecretRef": {"name": "pager", "key": "token"},
    }
}
TWILIO = {
    "twilio": {
        "accountSid": "AC1",
        "tokenSecretRef": {"name": "pager", "key": "token"},
        "from": "+15550100",
        "to": ["+491701", "+491702"],
    }
}
CASES = {
    "pagerduty": (
        PAGERDUTY,
        "url",
        ("routingKeySecretRef",),
        pagerduty_rule,
        lambda _, body: web.json_response(
            {"status": "success", "message": "Event processed", "dedup_key": body["dedup_key"]}, status=202
        ),
    ),
    "opsgenie": (
        OPSGENIE,
        "url",
        ("apiKeySecretRef",),
        opsgenie_rule,
        lambda *_: web.json_response({"result": "Request will be processed", "requestId": "r-1"}, status=202),
    ),
    "ntfy": (NTFY, "serverUrl", ("tokenSecretRef",), ntfy_rule, lambda *_: web.json_response({"id": "n-1"})),
    "pushover": (
        PUSHOVER,
        "apiUrl",
        ("tokenSecretRef", "userSecretRef"),
        pushover_rule,
        lambda *_: web.json_response({"status": 1, "request": "r-1"}),
    ),
    "twilio": (
        TWILIO,
        "apiUrl",
        ("tokenSecretRef",),
        twilio_rule,
        lambda *_: web.json_response({"sid": "SM1", "status": "queued"}, status=201),
    ),
}


async def opened(serve: Serve, name: str, **changes: Any) -> tuple[Channel, Service]:
    target, url, secrets, rule, usual = CASES[name]
    service = await serve(rule, usual)
    spec = {**target[name], url: service.url, **changes}
    return channel({name: spec}, secrets=tuple(f"{name}.{path}" for path in secrets)), service


# --- of all ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("changes", [{}, HUGE, {"title": "", "text": "", "labels": (), "integration": "x"}])
@pytest.mark.parametrize("state", State)
async def test_what_the_vendor_demands_is_kept(
    serve: Serve, name: str, changes: dict[str, Any], state: State
) -> None:
    """Whatever the group looks like, the service takes the message."""
    made, service = await opened(serve, name)
    await made.send(message(**changes, state=state), Recipient())
    assert service.requests


@pytest.mark.parametrize("name", CASES)
async def test_a_bundle_is_one_message_with_counts(serve: Serve, name: str) -> None:
    """A storm is told in one message that names groups and says how many there are."""
    made, service = await opened(serve, name, **({"to": ["+491701"]} if name == "twilio" else {}))
    items = tuple(BundleItem(number=number, title=f"Down {number}") for number in range(1, 41))
    await made.send(
        message(kind="bundle", number=0, public_id="", title="500 groups", items=items, total=500),
        Recipient(),
    )
    (body,) = service.bodies
    assert "#1" in str(body)
    assert any(count in str(body) for count in ("480 more", "497 more"))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(
    ("status", "headers", "reason", "permanent", "retry_after"),
    [
        (401, {}, FailureReason.AUTH_ERROR, True, None),
        (403, {}, FailureReason.AUTH_ERROR, True, None),
        (400, {}, FailureReason.CLIENT_ERROR, True, None),
        (302, {"Location": "http://127.0.0.1:1/"}, FailureReason.CLIENT_ERROR, True, None),
        (429, {"Retry-After": "17"}, FailureReason.RATE_LIMITED, False, 17.0),
        (500, {}, FailureReason.SERVER_ERROR, False, None),
        (503, {"Retry-After": "3"}, FailureReason.SERVER_ERROR, False, 3.0),
    ],
)
async def test_refusals_say_whether_to_try_again(
    serve: Serve,
    name: str,
    status: int,
    headers: dict[str, str],
    reason: FailureReason,
    permanent: bool,
    retry_after: float | None,
) -> None:
    """By the vendors' codes; the text of the failure holds no secret even if the vendor repeats it."""
    made, service = await opened(serve, name)
    said = {"message": f"no {SECRET}", "error": f"no {SECRET}", "errors": [f"no {SECRET}"]}
    service.next = [web.json_response(said, status=status, headers=headers) for _ in range(2)]
    with pytest.raises(DeliveryFailed) as failed:
        await made.send(message(), Recipient())
    error = failed.value
    assert (error.reason, error.permanent, error.retry_after) == (reason, permanent, retry_after)
    assert SECRET not in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize("name", CASES)
async def test_nothing_listens(name: str) -> None:
    """No answer is a failure that is tried again."""
    target, url, secrets, *_ = CASES[name]
    made = channel(
        {name: {**target[name], url: "http://127.0.0.1:9"}},
        secrets=tuple(f"{name}.{path}" for path in secrets),
    )
    with pytest.raises(DeliveryFailed) as failed:
        await made.send(message(), Recipient())
    assert not failed.value.permanent


# --- of each --------------------------------------------------------------------------------------------------------


async def test_pagerduty_has_one_incident_for_a_group(serve: Serve) -> None:
    """Trigger, acknowledge and resolve share the deduplication key; what fires again triggers again."""
    made, service = await opened(serve, "pagerduty")
    sent = await made.send(message(), Recipient())
    for state in (State.ACKNOWLEDGED, State.FIRING, State.RESOLVED):
        await made.update(message(kind="update", key="other", state=state), sent.reference)
    assert [body["event_action"] for body in service.bodies] == [
        "trigger",
        "acknowledge",
        "trigger",
        "resolve",
    ]
    assert len({body["dedup_key"] for body in service.bodies}) == 1
    assert service.bodies[0]["payload"]["severity"] == "critical"
    assert service.bodies[0]["links"][0]["href"] == "https://tocsin.example.org/groups/G12"


async def test_opsgenie_follows_the_group(serve: Serve) -> None:
    """One alias: created, acknowledged, closed; a person is named as the responder."""
    made, service = await opened(serve, "opsgenie")
    sent = await made.send(message(), Recipient(address="ann@example.org"))
    await made.update(message(state=State.ACKNOWLEDGED), sent.reference)
    await made.update(message(state=State.RESOLVED), sent.reference)
    assert service.bodies[0]["responders"] == [{"type": "user", "username": "ann@example.org"}]
    assert [path for _, path, _ in service.requests] == [
        "/v2/alerts",
        "/v2/alerts/tocsin%2FG12ABC/acknowledge?identifierType=alias",
        "/v2/alerts/tocsin%2FG12ABC/close?identifierType=alias",
    ]


async def test_ntfy_and_pushover_reach_a_person(serve: Serve) -> None:
    """The address of a contact wins over what the channel names; a click leads to the group."""
    made, service = await opened(serve, "ntfy")
    await made.send(message(kind="personal"), Recipient(address="ann-phone"))
    assert service.bodies[0]["topic"] == "ann-phone"
    assert service.bodies[0]["click"] == "https://tocsin.example.org/groups/G12"
    assert "full (https://example.org/d)" in service.bodies[0]["message"]
    made, service = await opened(serve, "pushover")
    await made.send(message(kind="personal"), Recipient(address="user-key-of-ann"))
    assert service.bodies[0]["user"] == "user-key-of-ann"
    assert service.bodies[0]["url"] == "https://tocsin.example.org/groups/G12"


async def test_pushover_says_when_its_quota_begins_anew(serve: Serve) -> None:
    """429 has no Retry-After there, but a header with the moment."""
    made, service = await opened(serve, "pushover")
    service.next = [web.json_response({"status": 0}, status=429, headers={"X-Limit-App-Reset": "1"})]
    with pytest.raises(DeliveryFailed) as failed:
        await made.send(message(), Recipient())
    assert failed.value.retry_after == 1.0


async def test_a_text_message_says_what_matters(serve: Serve) -> None:
    """Number, title, integration and count without markup, each number once, and the link at the end.

    Rules: R-TPL-28
    """
    made, service = await opened(serve, "twilio")
    await made.send(message(title='**Disk** "full" & more'), Recipient())
    assert [body["To"] for body in service.bodies] == ["+491701", "+491702"]
    text = service.bodies[0]["Body"]
    assert text.startswith('Alert group #12 "Disk "full" & more" of Prometheus of payments, alerts: 3.')
    assert text.endswith(" https://tocsin.example.org/groups/G12")
    made, service = await opened(serve, "twilio", medium="Call")
    await made.send(message(title='**Disk** "full" & <b>more</b>'), Recipient(address="+491703"))
    said = ET.fromstring(service.bodies[0]["Twiml"]).findtext("Say")
    assert said == "Alert from Prometheus of payments. Disk full & <b>more</b>. It has 3 alerts."


async def test_a_number_that_was_served_is_not_called_twice(serve: Serve) -> None:
    """One number fails: the message fails, and the next attempt only goes to that one."""
    made, service = await opened(serve, "twilio")
    service.next = [
        web.json_response({"sid": "SM1"}, status=201),
        web.json_response({"message": "busy"}, status=503),
    ]
    with pytest.raises(DeliveryFailed):
        await made.send(message(), Recipient())
    await made.send(message(), Recipient())
    assert [body["To"] for body in service.bodies] == ["+491701", "+491702", "+491702"]
