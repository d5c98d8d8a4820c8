"""The receiver's hot path: one request in, its alerts evaluated and durably committed, one answer out.

2xx is answered only after the commit. Nothing is stored by halves: the alerts of one body are committed together or
not at all. What the sender did wrong is 4xx, what it should send again is 503 (Alertmanager retries 5xx only).
"""

from __future__ import annotations

from functools import partial

from aiohttp import web
from aiohttp.hdrs import CONTENT_ENCODING

from tocsin.flow.model import Micros
from tocsin.notify.client import HttpClient, Outgoing
from tocsin.problems import Problem, ProblemError, malformed, method_not_allowed, not_found, unavailable
from tocsin.receive import auth
from tocsin.receive.answers import JSON, TEXT, Answer, refused, stored
from tocsin.receive.batch import Batch, Evaluation
from tocsin.receive.body import Bodies
from tocsin.receive.content import FORM, ContentReader
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

Taken = tuple[Arrival, ...] | Batch | Undelivered | Answer
"""One evaluated alert, several that wait for it, what becomes a dead letter, or an answer to what is no alert."""

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
        self._evaluation = Evaluation(environment)
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
        if located.suffix or request.method != "POST":
            probe = self._probe(request, located, now)
            if probe is not None:
                return probe
        body = self._bodies.read_now(request)
        if body is None:
            if not located.by_token and not auth.wants_body(endpoint.auth):
                self._authenticate(request, located, b"")
            body = await self._bodies.read(request)
            now = self._now()
        held = len(body)
        try:
            if not located.by_token:
                self._authenticate(request, located, body)
            encoding = request.headers.get(CONTENT_ENCODING)
            if encoding is not None:
                raw, body = body, self._bodies.decoded(body, encoding)
                if body is not raw:
                    held += len(body)
            if endpoint.kind == SNS:
                return await self._enveloped(request, located, body)
            taken = self._take(request, endpoint, body, now)
            del body
            if type(taken) is tuple:
                return await self._commit(endpoint, taken, now, as_list=False)
            return await self._finish(endpoint, taken, now)
        finally:
            self._bodies.release(held)

    async def _accept(self, request: web.BaseRequest, located: Located, body: bytes, now: Micros) -> Answer:
        return await self._finish(located.endpoint, self._take(request, located.endpoint, body, now), now)

    def _take(self, request: web.BaseRequest, endpoint: Endpoint, body: bytes, now: Micros) -> Taken:
        """What a body amounts to: evaluated if it is one alert, which is nearly always."""
        program = endpoint.program
        if program is None or endpoint.standing is not Standing.LIVE:
            return self._undelivered(request, endpoint, body, now)
        content = self._content.read(request, body, program.type)
        source = program.type
        if source.verification is not None:
            echo = self._handshakes.delivery(source, content.value, now)
            if echo is not None:
                return Answer(echo.encode(), content_type=TEXT)
        batch = self._evaluation.split(source, content, now)
        if len(batch.payloads) == 1 and not batch.as_list:
            return (self._evaluation.arrival(endpoint, program, batch.payloads[0], batch.notes, now),)
        return batch

    async def _finish(self, endpoint: Endpoint, taken: Taken, now: Micros) -> Answer:
        """Commits what was taken and says what became of it."""
        if isinstance(taken, Answer):
            return taken
        if isinstance(taken, Undelivered):
            return await self._sidetracks.bury(endpoint, taken)
        if not isinstance(taken, Batch):
            return await self._commit(endpoint, taken, now, as_list=False)
        assert endpoint.program is not None
        arrivals = await self._evaluation.arrivals(endpoint, endpoint.program, taken, now)
        if not arrivals:
            return stored((), as_list=True)
        return await self._commit(endpoint, arrivals, now, as_list=taken.as_list)

    async def _commit(
        self, endpoint: Endpoint, arrivals: tuple[Arrival, ...], now: Micros, *, as_list: bool
    ) -> Answer:
        tallies, tally, count = self._tallies, endpoint.tally, len(arrivals)
        started = self._seconds()
        tallies.waiting += count
        try:
            results = await self._store.ingest(arrivals)
        except NotStorable as error:
            raise ProblemError(await self._keep(endpoint, arrivals, error)) from error
        finally:
            tallies.waiting -= count
        for arrival, result in zip(arrivals, results, strict=True):
            tally.count(arrival.decision, result)
        tally.last_alert = now
        tallies.duration.observe(self._seconds() - started)
        return stored(results, as_list=as_list)

    async def _keep(self, endpoint: Endpoint, arrivals: tuple[Arrival, ...], error: NotStorable) -> Problem:
        """What the database will never take becomes a dead letter, so that people can look at it."""
        letter = Undelivered(
            integration=endpoint.identity,
            body=b"[" + b",".join(arrival.payload for arrival in arrivals) + b"]",
            reason="not-storable",
            media_type=JSON,
            received_at=arrivals[0].received_at,
        )
        number = await self._sidetracks.keep(endpoint, letter)
        return malformed(
            f"the alert cannot be stored: {error}",
            action="see the dead letter of this number",
            dead_letter=number,
        )

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

    def _probe(self, request: web.BaseRequest, located: Located, now: Micros) -> Answer | None:
        """What is not simply an alert: a sender that checks the URL; None if it delivers all the same; else 404 or 405."""
        program = located.endpoint.program
        if located.suffix and program is not None and not program.type.api_v2:
            raise ProblemError(_no_api(located.endpoint))
        if request.method == "POST":
            return None
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
