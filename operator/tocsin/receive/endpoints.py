"""Whom a URL belongs to.

Two shapes: `/integrations/v1/<type>/<token>/...` holds the secret, `/v1/namespaces/<ns>/integrations/<name>/...` does not.
Doubled and trailing slashes mean nothing, and nothing is ever redirected (DESIGN section 5, endpoint).
"""

from __future__ import annotations

import hashlib
from enum import Enum
from urllib.parse import unquote

from tocsin.api.common import Identity
from tocsin.api.integration import AuthMode
from tocsin.flow.model import EMPTY_FLOW, AuthFragment, Micros
from tocsin.flow.program import IntegrationProgram
from tocsin.problems import Problem, ProblemError, not_found, unavailable
from tocsin.receive.credentials import Credentials, Secrets
from tocsin.receive.environment import Environment
from tocsin.receive.limiter import TokenBucket
from tocsin.receive.live import Live
from tocsin.receive.tallies import Tally

_MICRO = 1_000_000
_PLAIN_PARTS = 6
"""Of `/integrations/v1/<type>/<token>/`, split at its slashes."""

Suffix = tuple[str, ...]
ALERT: Suffix = ()
HEARTBEAT: Suffix = ("heartbeat",)
API_ALERTS: Suffix = ("api", "v2", "alerts")
API_STATUS: Suffix = ("api", "v2", "status")


class Standing(Enum):
    LIVE = "live"
    SUSPENDED = "suspended"
    DELETED = "deleted"


class Endpoint:
    """One Integration as its senders see it.

    `manifest` is the digest of the flow that `program` is of. `alert` is where its plain alert URL with the token leads. `program` is None only when it is deleted; then `secrets` are those it had, for `auth` of a URL without a token.
    """

    __slots__ = (
        "alert",
        "auth",
        "beats",
        "identity",
        "kind",
        "limiter",
        "manifest",
        "name",
        "program",
        "secrets",
        "standing",
        "tally",
    )

    def __init__(
        self,
        identity: Identity,
        program: IntegrationProgram | None,
        tally: Tally,
        limiter: TokenBucket | None,
        beats: TokenBucket,
    ) -> None:
        self.auth = _NO_AUTH if program is None else program.fragment.auth
        self.secrets: Secrets | None = None
        self.manifest = EMPTY_FLOW.digest
        self.identity = identity
        self.name = f"{identity.namespace}/{identity.name}"
        self.kind = program.type.slug if program is not None and program.type.url else ""
        self.alert = Located(self, ALERT, by_token=True)
        self.program = program
        self.tally = tally
        self.limiter = limiter
        self.beats = beats
        if program is None:
            self.standing = Standing.DELETED
        else:
            self.standing = Standing.SUSPENDED if program.fragment.suspended else Standing.LIVE


class Located:
    """Where a request goes: the endpoint, what follows its URL, and whether the URL itself was the credential."""

    __slots__ = ("by_token", "endpoint", "suffix")

    def __init__(self, endpoint: Endpoint, suffix: Suffix, *, by_token: bool) -> None:
        self.endpoint = endpoint
        self.suffix = suffix
        self.by_token = by_token


class Endpoints:
    """Finds endpoints in what is in force. Rebuilt lazily, one Integration at a time, when the flow or the tokens change."""

    def __init__(self, live: Live, credentials: Credentials, environment: Environment) -> None:
        self._live = live
        self._credentials = credentials
        self._settings = environment.settings
        self._tallies = environment.tallies
        self._seconds = environment.seconds
        self._program = live.program
        self._tokens = credentials.tokens
        self._by_digest: dict[bytes, Endpoint] = {}
        self._by_identity: dict[Identity, Endpoint] = {}
        self._buckets: dict[Identity, tuple[int, int, TokenBucket]] = {}
        self._beats: dict[Identity, TokenBucket] = {}
        self._secrets = credentials.secrets
        self._retired: dict[Identity, tuple[Endpoint, Micros]] = {}

    def locate(self, path: str, now: Micros) -> Located:
        """Raises ProblemError: 400 wrong type, 403 unknown token, 404 no such URL."""
        if self._live.program is not self._program or self._credentials.tokens is not self._tokens:
            self._refresh(now)
        parts = path.split("/")
        if len(parts) == _PLAIN_PARTS and parts[1] == "integrations" and parts[2] == "v1" and not parts[5]:
            endpoint = self._by_token(parts[4], now)
            if endpoint.kind == parts[3]:
                return endpoint.alert
        parts = [part for part in parts if part]
        if "%" in path:
            parts = [unquote(part) for part in parts]
        match parts:
            case ["integrations", "v1", kind, token, *rest]:
                endpoint = self._by_token(token, now)
                _check_kind(endpoint, kind)
                return Located(endpoint, tuple(rest), by_token=True) if rest else endpoint.alert
            case ["v1", "namespaces", namespace, "integrations", name, *rest]:
                return Located(self._by_name(namespace, name, now), tuple(rest), by_token=False)
        raise ProblemError(
            not_found(
                "no alerts are taken at this URL",
                action="use the URL that `tocsin endpoints` shows for the Integration",
            )
        )

    def of_token(self, token: str, now: Micros) -> Endpoint:
        """Whose token this is, for what comes by another way than its URL. Raises ProblemError: 403, 404 or 503."""
        if self._live.program is not self._program or self._credentials.tokens is not self._tokens:
            self._refresh(now)
        return self._by_token(token, now)

    def _by_token(self, token: str, now: Micros) -> Endpoint:
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        record = self._tokens.get(digest)
        if record is None or (record.valid_until is not None and record.valid_until <= now):
            raise ProblemError(_UNKNOWN_TOKEN)
        endpoint = self._by_digest.get(digest)
        if endpoint is None:
            endpoint = self._by_digest[digest] = self._endpoint(record.integration)
        if endpoint.program is None:
            if record.entombed_until is None:
                raise ProblemError(_NOT_LOADED)
            if record.entombed_until <= now:
                raise ProblemError(_GONE)
        return endpoint

    def _by_name(self, namespace: str, name: str, now: Micros) -> Endpoint:
        identity = Identity("Integration", namespace, name)
        program = self._program.integrations.get(identity)
        if program is not None and program.fragment.auth.mode != AuthMode.TOKEN:
            endpoint = self._endpoint(identity)
            if not program.type.url:
                raise ProblemError(_no_url(endpoint))
            return endpoint
        retired = self._retired.get(identity)
        if program is None and retired is not None:
            endpoint, until = retired
            if now < until:
                return endpoint
            del self._retired[identity]
        raise ProblemError(_NO_NAME)

    def _endpoint(self, identity: Identity) -> Endpoint:
        endpoint = self._by_identity.get(identity)
        if endpoint is None:
            program = self._program.integrations.get(identity)
            tally = self._tallies.unknown if program is None else self._tallies.of(identity)
            endpoint = Endpoint(
                identity, program, tally, self._limiter(identity, program), self._heartbeats(identity)
            )
            endpoint.manifest = self._program.digest
            self._by_identity[identity] = endpoint
        return endpoint

    def _heartbeats(self, identity: Identity) -> TokenBucket:
        bucket = self._beats.get(identity)
        if bucket is None:
            bucket = TokenBucket(
                self._settings.heartbeat_rate, self._settings.heartbeat_period, self._seconds()
            )
            self._beats[identity] = bucket
        return bucket

    def _limiter(self, identity: Identity, program: IntegrationProgram | None) -> TokenBucket | None:
        """The bucket survives changes of the flow that do not touch the rate."""
        if program is None or not program.fragment.rate_limit:
            self._buckets.pop(identity, None)
            return None
        rate = (program.fragment.rate_limit, program.fragment.rate_period)
        known = self._buckets.get(identity)
        if known is not None and known[:2] == rate:
            return known[2]
        bucket = TokenBucket(rate[0], rate[1] / _MICRO, self._seconds())
        self._buckets[identity] = (*rate, bucket)
        return bucket

    def _refresh(self, now: Micros) -> None:
        if self._live.program is not self._program:
            self._retire(now)
        self._program = self._live.program
        self._tokens = self._credentials.tokens
        self._secrets = self._credentials.secrets
        self._by_digest = {}
        self._by_identity = {}
        declared = self._program.integrations
        self._buckets = {identity: held for identity, held in self._buckets.items() if identity in declared}
        self._beats = {identity: held for identity, held in self._beats.items() if identity in declared}
        self._tallies.keep_only(declared)

    def _retire(self, now: Micros) -> None:
        """Keeps what is needed to answer for Integrations that are gone now and had a URL without a token."""
        gone = self._program.integrations.keys() - self._live.program.integrations.keys()
        until = Micros(now + int(self._settings.deleted_grace * _MICRO))
        for identity in gone:
            auth = self._program.integrations[identity].fragment.auth
            if auth.mode == AuthMode.TOKEN:
                continue
            endpoint = Endpoint(
                identity, None, self._tallies.unknown, None, TokenBucket(1, 1.0, self._seconds())
            )
            endpoint.auth = auth
            endpoint.secrets = self._secrets
            self._retired[identity] = (endpoint, until)


def _check_kind(endpoint: Endpoint, kind: str) -> None:
    program = endpoint.program
    if program is None:
        return
    if not program.type.url:
        raise ProblemError(_no_url(endpoint))
    if kind != endpoint.kind:
        raise ProblemError(
            Problem(
                status=400,
                kind="wrong-type",
                detail=f"this URL is for type {kind[:63]!r}, but the token belongs to Integration {endpoint.name} "
                f"of type {endpoint.kind!r}",
                field="path",
                action="use the URL that `tocsin endpoints` shows for the Integration",
                facts=(("integration", endpoint.name),),
            )
        )


def _no_url(endpoint: Endpoint) -> Problem:
    return not_found(
        f"Integration {endpoint.name} is of a type that takes no alerts by URL",
        action="use an Integration of another type, such as webhook",
    )


_UNKNOWN_TOKEN = Problem(
    status=403,
    kind="unknown-token",
    detail="no Integration has this token",
    field="path",
    action="use the URL that `tocsin endpoints` shows for the Integration; after a rotation the old token ends",
)
_NO_AUTH = AuthFragment()
_NOT_LOADED = unavailable(
    "not-loaded", "the Integration of this URL is not in the flow that this receiver has loaded"
)
_GONE = not_found(
    "the Integration of this URL was deleted",
    action="stop sending, or create the Integration again under the same name",
)
_NO_NAME = not_found(
    "no Integration of this name is reached by credentials",
    action="check namespace and name, and spec.auth.mode; with mode Token use the URL that `tocsin endpoints` shows",
)
