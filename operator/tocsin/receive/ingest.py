"""The receiver's hot path: one request in, its alerts evaluated and durably committed, one answer out.

2xx is answered only after the commit. Nothing is stored by halves: the alerts of one body are committed together or
not at all. What the sender did wrong is 4xx, what it should send again is 503 (Alertmanager retries 5xx only).
"""

from __future__ import annotations

import asyncio
from functools import partial

from aiohttp import web
from aiohttp.hdrs import CONTENT_ENCODING

from tocsin.flow.arrival import NotAnAlert, Payload, alerts_of, duplicate_key, expires_at
from tocsin.flow.model import Micros
from tocsin.flow.program import IntegrationProgram
from tocsin.notify.client import HttpClient, Outgoing
from tocsin.problems import Problem, ProblemError, malformed, method_not_allowed, not_found, unavailable
from tocsin.receive import auth
from tocsin.receive.answers import JSON, TEXT, Answer, refused, stored
from tocsin.receive.body import Bodies
from tocsin.receive.content import FORM, Content, ContentReader
from tocsin.receive.credentials import Credentials
from tocsin.receive.email import Mailbox
from tocsin.receive.endpoints import (
    ALERT,
    API_ALERTS,
    API_STATUS,
    HEARTBEAT,
    Endpoint,
    Endpoints,
    Located,
    Standing,
)
from tocsin.receive.environment import Environment
from tocsin.receive.faults import FaultLog
from tocsin.receive.handshake import Handshakes
from tocsin.receive.jsonbody import encode_json
from tocsin.receive.live import Live
from tocsin.receive.sidetracks import Sidetracks, api_status, ignored_heartbeat
from tocsin.receive.sns import SLUG as SNS
from tocsin.receive.sns import Topics
from tocsin.store import Store
from tocsin.store.arrivals import Arrival
from tocsin.store.deadletters import Undelivered
from tocsin.store.errors import NotStorable, StoreError

_YIELD_EVERY = 32
"""Alerts of one body that are evaluated before other requests get a turn."""

_STORE_DOWN = unavailable("store-unavailable", "the alert could not be stored")
_INTERNAL = Problem(
    status=500,
    kind="internal-error",
    detail="the alert could not be processed; the receiver's log says why",
    action="send it again; report the log entry if it happens again",
)


class Ingest:
    """Answers everything under `/integrations/v1/` and `/v1/namespaces/`. One per process."""

    def __init__(
        self,
        store: Store,
        live: Live,
        credentials: Credentials,
        environment: Environment,
        client: HttpClient | None = None,
    ) -> None:
        """`client` sends what leaves this process; the caller closes it. Raises ValueError for settings that do not fit."""
        self._store = store
        self._live = live
        self._credentials = credentials
        self._settings = environment.settings
        self._tallies = environment.tallies
        self._tallies.live = live
        self._now = environment.now
        self._seconds = environment.seconds
        self._endpoints = Endpoints(live, credentials, environment)
        self._bodies = Bodies(environment)
        self._content = ContentReader(environment.settings)
        self._handshakes = Handshakes()
        self._sidetracks = Sidetracks(store)
        self._faults = FaultLog(environment)
        self._client = client or HttpClient(Outgoing(allowed=environment.settings.outgoing_allowed))
        self._topics = Topics(partial(self._client.get, schemes=("https",)), environment)
        self._mailbox = Mailbox(environment, self._endpoints, credentials, self._topics)
        self.handle = self._logged if environment.settings.access_log else self._answer
        """Answers one request. Never raises, except when it is cancelled."""
        self.closed = False
        """Set when draining has come to its end: what still comes in is refused."""

    async def follow_credentials(self) -> None:
        """Keeps tokens and secrets up to date until cancelled; whoever listens runs it."""
        await self._credentials.follow()

    async def close(self) -> None:
        """Ends connections that were opened for requests of its own."""
        await self._client.close()

    async def _logged(self, request: web.BaseRequest) -> Answer:
        started = self._seconds()
        answer = await self._answer(request)
        self._faults.answered(answer, request.method, self._seconds() - started)
        return answer

    async def _answer(self, request: web.BaseRequest) -> Answer:
        located: Located | None = None
        try:
            reason = "this receiver is shutting down" if self.closed else self._live.not_ready
            if reason:
                raise ProblemError(unavailable("not-ready", reason))
            now = self._now()
            path = _path(request)
            try:
                located = self._endpoints.locate(path, now)
            except ProblemError:
                if self._mailbox.knows(path):
                    return await self._mail(request)
                located = await self._look_again(path, now)
            suffix = located.suffix
            if suffix is ALERT or suffix == API_ALERTS:
                answer = await self._alert(request, located, now)
            elif suffix == HEARTBEAT:
                answer = await self._heartbeat(request, located, now)
            elif suffix == API_STATUS:
                answer = self._status(request, located)
            else:
                raise ProblemError(_NOTHING_HERE)
            answer.integration = located.endpoint.name
            return answer
        except ProblemError as error:
            problem = error.problem
        except StoreError:
            problem = _STORE_DOWN
        except Exception as error:  # noqa: BLE001 -- one bad request must not end the connection of others
            self._faults.broken(located.endpoint if located else None, error)
            problem = _INTERNAL
        self._faults.refused(located.endpoint if located else None, problem)
        answer = refused(problem, keep_alive=request.content.is_eof())
        answer.integration = located.endpoint.name if located else ""
        return answer

    async def _look_again(self, path: str, now: Micros) -> Located:
        """A URL that is not known may be younger than what this process knows: it reads anew, once a second at most."""
        await self._credentials.refresh_if_older(1.0)
        return self._endpoints.locate(path, now)

    async def _mail(self, request: web.BaseRequest) -> Answer:
        opened = await self._mailbox.open(request)
        if isinstance(opened, Answer):
            return opened
        answer = await self._accept(request, opened.located, opened.body, self._now())
        answer.integration = opened.located.endpoint.name
        return answer

    async def _enveloped(self, request: web.BaseRequest, located: Located, body: bytes) -> Answer:
        opened = await self._topics.open(request, body, located.endpoint.name)
        if isinstance(opened, Answer):
            return opened
        return await self._accept(request, located, opened, self._now())

    async def _alert(self, request: web.BaseRequest, located: Located, now: Micros) -> Answer:
        endpoint = located.endpoint
        if located.suffix and endpoint.program is not None and not endpoint.program.type.api_v2:
            raise ProblemError(_no_api(endpoint))
        if request.method != "POST":
            probe = self._probe(request, located, now)
            if probe is not None:
                return probe
        raw = self._bodies.read_now(request)
        if raw is None:
            if not located.by_token and not auth.wants_body(endpoint.auth):
                self._authenticate(request, located, b"")
            raw = await self._bodies.read(request)
            now = self._now()
        held = len(raw)
        try:
            if not located.by_token:
                self._authenticate(request, located, raw)
            body = raw
            encoding = request.headers.get(CONTENT_ENCODING)
            if encoding is not None:
                body = self._bodies.decoded(raw, encoding)
                if body is not raw:
                    held += len(body)
            if endpoint.kind == SNS:
                return await self._enveloped(request, located, body)
            return await self._accept(request, located, body, now)
        finally:
            self._bodies.release(held)

    async def _accept(self, request: web.BaseRequest, located: Located, body: bytes, now: Micros) -> Answer:
        endpoint = located.endpoint
        program = endpoint.program
        if program is None or endpoint.standing is not Standing.LIVE:
            return await self._sidetracks.bury(endpoint, self._undelivered(request, endpoint, body, now))
        content = self._content.read(request, body, program.type)
        try:
            return await self._deliver(located, content, now)
        except NotStorable as error:
            letter = self._undelivered(request, endpoint, body, now)
            number = await self._sidetracks.keep(endpoint, letter, "not-storable")
            raise ProblemError(
                malformed(
                    f"the alert cannot be stored: {error}",
                    action="see the dead letter of this number",
                    dead_letter=number,
                )
            ) from error

    def _undelivered(
        self, request: web.BaseRequest, endpoint: Endpoint, body: bytes, now: Micros
    ) -> Undelivered:
        """What is kept of a delivery that becomes no alert; what must not be stored is masked here too."""
        media_type = request.headers.get("Content-Type", "")
        if not body:
            query = request.raw_path.partition("?")[2]
            body, media_type = query.encode("utf-8", "surrogateescape"), FORM
        program = endpoint.program
        if program is not None and program.fragment.redact:
            value = self._content.read(request, body, program.type).value
            body, media_type = encode_json(program.redact(value)), JSON
        return Undelivered(
            integration=endpoint.identity,
            body=body,
            reason=endpoint.standing.value,
            media_type=media_type,
            received_at=now,
        )

    async def _deliver(self, located: Located, content: Content, now: Micros) -> Answer:
        started = self._seconds()
        endpoint = located.endpoint
        program = endpoint.program
        assert program is not None
        source = program.type
        if source.verification is not None:
            echo = self._handshakes.delivery(source, content.value, now)
            if echo is not None:
                return Answer(echo.encode(), content_type=TEXT)
        try:
            payloads = alerts_of(source, content.value, now)
        except NotAnAlert as error:
            raise ProblemError(malformed(str(error))) from None
        as_list = len(payloads) != 1 or type(content.value) is list
        if not payloads:
            if source.api_v2:
                return stored((), as_list=True)
            raise ProblemError(malformed("the list holds no alert", action="send at least one object"))
        tallies = self._tallies
        count = len(payloads)
        if count > self._settings.alerts_limit or tallies.waiting + count > self._settings.waiting_limit:
            self._refuse_many(count)
        arrivals: tuple[Arrival, ...]
        if count == 1:
            arrivals = (self._arrival(endpoint, program, payloads[0], content.notes, now),)
        else:
            arrivals = await self._arrivals(endpoint, program, payloads, content, now)
        tallies.waiting += count
        try:
            results = await self._store.ingest(arrivals)
        finally:
            tallies.waiting -= count
        tally = endpoint.tally
        for arrival, result in zip(arrivals, results, strict=True):
            tally.count(arrival.decision, result)
        tally.last_alert = now
        tallies.duration.observe(self._seconds() - started)
        return stored(results, as_list=as_list)

    def _arrival(
        self,
        endpoint: Endpoint,
        program: IntegrationProgram,
        payload: Payload,
        notes: tuple[str, ...],
        now: Micros,
    ) -> Arrival:
        source = program.type
        limiter = endpoint.limiter
        encoded = encode_json(payload)
        if program.fragment.redact:
            encoded = encode_json(program.redact(payload))
        return Arrival(
            integration=endpoint.identity,
            decision=program.evaluate(payload, now, notes=notes),
            payload=encoded,
            received_at=now,
            now=now,
            manifest=self._live.program.digest,
            duplicate_key=duplicate_key(source, payload),
            expires_at=expires_at(source, payload, now) if source.expires else None,
            digested=limiter is not None and not limiter.take(self._seconds()),
        )

    async def _arrivals(
        self,
        endpoint: Endpoint,
        program: IntegrationProgram,
        payloads: tuple[Payload, ...],
        content: Content,
        now: Micros,
    ) -> tuple[Arrival, ...]:
        arrivals: list[Arrival] = []
        for position, payload in enumerate(payloads, start=1):
            arrivals.append(self._arrival(endpoint, program, payload, content.notes, now))
            if position % _YIELD_EVERY == 0:
                await asyncio.sleep(0)
        return tuple(arrivals)

    def _probe(self, request: web.BaseRequest, located: Located, now: Micros) -> Answer | None:
        """What is not a POST: a sender that checks the URL, or delivers in the query (None); else 405."""
        program = located.endpoint.program
        allowed = ["POST"]
        if program is not None and located.suffix == ALERT:
            source = program.type
            if not located.by_token and (source.verification is not None or source.query_delivery):
                self._authenticate(request, located, b"")
            echo = self._handshakes.probe(source, request.method, request.query, now)
            if echo is not None:
                return Answer(echo.encode(), content_type=TEXT)
            if source.verification is not None:
                allowed += source.verification.methods
            if source.query_delivery:
                if request.method == "GET" and request.query_string:
                    return None
                allowed.append("GET")
        raise ProblemError(
            method_not_allowed(
                request.method, tuple(dict.fromkeys(allowed)), detail="alerts are sent by POST"
            )
        )

    async def _heartbeat(self, request: web.BaseRequest, located: Located, now: Micros) -> Answer:
        endpoint = located.endpoint
        if request.method not in ("GET", "HEAD", "POST"):
            raise ProblemError(method_not_allowed(request.method, ("GET", "HEAD", "POST")))
        program = endpoint.program
        if program is None or program.fragment.heartbeat is None:
            raise ProblemError(_NO_HEARTBEAT.with_facts(integration=endpoint.name))
        if not located.by_token:
            await self._authenticate_heartbeat(request, located)
        if endpoint.standing is not Standing.LIVE:
            return ignored_heartbeat(endpoint)
        if not endpoint.beats.take(self._seconds()):
            wait = int(endpoint.beats.seconds_until_free()) + 1
            raise ProblemError(
                Problem(
                    status=429,
                    kind="too-many-heartbeats",
                    detail=f"Integration {endpoint.name} gets more heartbeats than this receiver records",
                    action=f"send one per interval; wait {wait} seconds now",
                    facts=(("integration", endpoint.name),),
                    retry_after=wait,
                )
            )
        return await self._sidetracks.beat(endpoint, program.fragment.heartbeat, now)

    async def _authenticate_heartbeat(self, request: web.BaseRequest, located: Located) -> None:
        if not auth.wants_body(located.endpoint.auth):
            self._authenticate(request, located, b"")
            return
        raw = self._bodies.read_now(request)
        if raw is None:
            raw = await self._bodies.read(request)
        self._bodies.release(len(raw))
        self._authenticate(request, located, raw)

    def _status(self, request: web.BaseRequest, located: Located) -> Answer:
        program = located.endpoint.program
        if program is None or not program.type.api_v2:
            raise ProblemError(_no_api(located.endpoint))
        if request.method not in ("GET", "HEAD"):
            raise ProblemError(method_not_allowed(request.method, ("GET", "HEAD")))
        if not located.by_token:
            self._authenticate(request, located, b"")
        return Answer(api_status())

    def _authenticate(self, request: web.BaseRequest, located: Located, raw: bytes) -> None:
        endpoint = located.endpoint
        secrets = self._credentials.secrets if endpoint.secrets is None else endpoint.secrets
        proof = auth.Proof(request.headers, raw)
        if not auth.is_authentic(endpoint.auth, secrets, proof, self._now()):
            raise ProblemError(auth.refusal(endpoint.auth))

    def _refuse_many(self, count: int) -> None:
        if count > self._settings.alerts_limit:
            raise ProblemError(
                Problem(
                    status=413,
                    kind="too-many-alerts",
                    detail=f"the body holds {count} alerts; at most {self._settings.alerts_limit} are taken at once",
                    field="body",
                    action="send them in several requests",
                    facts=(("limit", self._settings.alerts_limit),),
                )
            )
        raise ProblemError(unavailable("overloaded", "too many alerts wait to be stored"))


def _path(request: web.BaseRequest) -> str:
    """The path as sent, without the query. A proxy may send the whole URL."""
    target = request.raw_path
    if not target.startswith("/"):
        return request.rel_url.raw_path
    cut = target.find("?")
    return target if cut < 0 else target[:cut]


def _no_api(endpoint: Endpoint) -> Problem:
    return not_found(
        f"Integration {endpoint.name} does not take Alertmanager's API",
        action="use an Integration of type prometheus for senders of POST /api/v2/alerts",
    )


_NOTHING_HERE = not_found("nothing is answered at this URL", action="check what follows the token")
_NO_HEARTBEAT = not_found(
    "this Integration declares no heartbeat, so nothing was started",
    action="set spec.heartbeat on the Integration",
)
