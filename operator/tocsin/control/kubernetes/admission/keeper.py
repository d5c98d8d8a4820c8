"""Keeps the certificate in its Secret, and the API server's trust in it.

Whichever replica is first makes the Secret; only the leader renews it, with the resource version that it has read, so
that nobody's change is lost. A Secret of that name that is not Tocsin's is used as it is and never written.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import ssl
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tocsin.control.kubernetes.admission.certificate import (
    AUTHORITY,
    CERTIFICATE,
    KEY,
    Material,
    Unusable,
    expiry,
    issue,
    renew,
    why_renew,
)
from tocsin.control.kubernetes.client import ApiError, Object
from tocsin.control.kubernetes.own_secrets import decoded, encoded, is_ours, read_or_create, secret
from tocsin.control.kubernetes.problems import Signals
from tocsin.control.kubernetes.resources import SECRETS, WEBHOOKS

WEBHOOK = "validate.tocsin.dev"
"""The entry of the ValidatingWebhookConfiguration that is Tocsin's, as charts/tocsin names it."""

_TLS_SECRET = "kubernetes.io/tls"
_KEPT = "admission certificate"
_TRUST = "admission trust"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A certificate that Tocsin keeps itself: its Secret, the names it is for, and the webhook that shall trust it.

    `webhook` "": somebody else tells the API server whom to trust. `namespace` "" is the one that this process is in.
    """

    secret: str
    hosts: tuple[str, ...]
    webhook: str = ""
    namespace: str = ""


class KeeperApi(Protocol):
    """What is needed of the API server."""

    async def get(self, path: str) -> Object: ...
    async def create(self, path: str, body: Object) -> Object: ...
    async def replace(self, path: str, body: Object) -> Object: ...
    async def merge(self, path: str, body: Object) -> Object: ...


class HeldCertificate:
    """A certificate in memory, for a listener. There is none before the first `hold`."""

    def __init__(self) -> None:
        self._pair: tuple[bytes, bytes] | None = None

    def hold(self, certificate: bytes, key: bytes) -> None:
        self._pair = certificate, key

    @property
    def is_there(self) -> bool:
        return self._pair is not None

    def context(self) -> ssl.SSLContext:
        """Raises OSError (ssl.SSLError included) if there is no certificate or it cannot be used."""
        if self._pair is None:
            raise FileNotFoundError("there is no certificate yet")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # OpenSSL takes files only, for as long as it reads them.
        with tempfile.TemporaryDirectory(prefix="tocsin-") as folder:
            paths = Path(folder, CERTIFICATE), Path(folder, KEY)
            for path, content in zip(paths, self._pair, strict=True):
                path.touch(mode=0o600)
                path.write_bytes(content)
            context.load_cert_chain(*paths)
        return context

    def fingerprint(self) -> bytes:
        """Changes with the certificate. Raises OSError if there is none."""
        if self._pair is None:
            raise FileNotFoundError("there is no certificate yet")
        certificate, key = self._pair
        return hashlib.sha256(len(certificate).to_bytes(8) + certificate + key).digest()


class Keeper:
    """`sync` does what is due now; call it every few seconds. `leads` says whether this replica may renew."""

    def __init__(
        self,
        api: KeeperApi,
        kept: Kept,
        *,
        leads: Callable[[], bool],
        signals: Signals,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        """`kept` names its namespace."""
        self._api = api
        self._kept = kept
        self._leads = leads
        self._signals = signals
        self._now = now
        self.held = HeldCertificate()

    async def sync(self) -> None:
        """Never raises for what the API server says: that is an open problem until it is solved."""
        try:
            data = await self._certificate()
            self._signals.problems.solve(_KEPT)
        except (ApiError, Unusable) as error:
            self._report(
                _KEPT, f"the certificate in Secret {self._kept.secret} cannot be kept: {error}", error
            )
            return
        if self._kept.webhook and self._leads():
            await self._make_trusted(data.get(AUTHORITY, b""))

    async def _certificate(self) -> dict[str, bytes]:
        """Reads, makes or renews it, and holds what is in force."""
        kept = self._kept
        stored = await read_or_create(self._api, kept.namespace, kept.secret, self._fresh)
        data = decoded(stored)
        if not is_ours(stored):
            self._look_at_anothers(data)
        elif self._leads() and (reason := self._why_renew(data)):
            data = await self._renew(stored, data, reason)
        self.held.hold(data.get(CERTIFICATE, b""), data.get(KEY, b""))
        return data

    def _fresh(self) -> Object:
        kept = self._kept
        return secret(kept.namespace, kept.secret, issue(kept.hosts, self._now()).data(), kind=_TLS_SECRET)

    def _why_renew(self, data: dict[str, bytes]) -> str:
        try:
            return why_renew(Material.of(data), self._kept.hosts, self._now())
        except Unusable as unusable:
            return str(unusable)

    async def _renew(self, stored: Object, data: dict[str, bytes], reason: str) -> dict[str, bytes]:
        kept, log = self._kept, self._signals.log
        try:
            material = renew(Material.of(data), kept.hosts, self._now())
        except Unusable as unusable:
            log.warning("a new admission authority is made", secret_name=kept.secret, reason=str(unusable))
            material = issue(kept.hosts, self._now())
        renewed = {**stored, "data": {**(stored.get("data") or {}), **encoded(material.data())}}
        answer = await self._api.replace(SECRETS.path(kept.namespace, kept.secret), renewed)
        log.info("admission certificate renewed", secret_name=kept.secret, reason=reason)
        return decoded(answer)

    def _look_at_anothers(self, data: dict[str, bytes]) -> None:
        ends = expiry(data.get(CERTIFICATE, b""))
        if ends is None:
            raise Unusable(
                f"it is not Tocsin's and holds no {CERTIFICATE}: delete it, and Tocsin makes its own"
            )
        if ends < self._now():
            raise Unusable(f"it is not Tocsin's and expired at {ends:%Y-%m-%d}: renew it, or delete it")

    async def _make_trusted(self, authority: bytes) -> None:
        """Puts the authority into the webhook if it is not there."""
        path, bundle = WEBHOOKS.path(name=self._kept.webhook), base64.b64encode(authority).decode("ascii")
        try:
            present = await self._api.get(path)
            entries = {entry.get("name"): entry for entry in present.get("webhooks") or ()}
            if WEBHOOK in entries and entries[WEBHOOK].get("clientConfig", {}).get("caBundle") != bundle:
                change = {"webhooks": [{"name": WEBHOOK, "clientConfig": {"caBundle": bundle}}]}
                await self._api.merge(path, change)
                self._signals.log.info(
                    "the webhook trusts the admission certificate", name=self._kept.webhook
                )
            self._signals.problems.solve(_TRUST)
        except ApiError as error:
            self._report(_TRUST, f"webhook {self._kept.webhook} cannot be made to trust: {error}", error)

    def _report(self, subject: str, message: str, error: ApiError | Unusable) -> None:
        if isinstance(error, ApiError) and error.status == 409:
            return  # changed meanwhile: looked at again next time
        reason = (error.reason or str(error.status)) if isinstance(error, ApiError) else "Unusable"
        self._signals.problems.report(subject, reason, message)
