"""Who makes, renews and trusts the admission certificate: one replica each time, and never somebody else's Secret."""

from __future__ import annotations

import base64
import datetime as dt
import io
from typing import Any

import pytest
from kube_secrets import Cabinet

from tocsin.control.kubernetes.admission.certificate import LIFETIME, issue
from tocsin.control.kubernetes.admission.keeper import HeldCertificate, Keeper, Kept
from tocsin.control.kubernetes.own_secrets import decoded, encoded, secret
from tocsin.control.kubernetes.problems import Signals
from tocsin.telemetry import Telemetry

NOW = dt.datetime(2026, 7, 1, 12, tzinfo=dt.UTC)
PATH = "/api/v1/namespaces/n/secrets/tocsin-admission"
WEBHOOK = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/n-tocsin"
HOSTS = ("tocsin-admission.n.svc",)


class Replica:
    """One process's keeper at a moment that the test sets."""

    def __init__(self, cabinet: Cabinet, *, leads: bool, webhook: str = "") -> None:
        self.leads = leads
        self.now = NOW
        self.signals = Signals.create(Telemetry.create(stream=io.StringIO(), process_metrics=False))
        kept = Kept(secret="tocsin-admission", hosts=HOSTS, webhook=webhook, namespace="n")
        self.keeper = Keeper(
            cabinet, kept, leads=lambda: self.leads, signals=self.signals, now=lambda: self.now
        )

    @property
    def problems(self) -> dict[str, tuple[str, str]]:
        return self.signals.problems.open


@pytest.fixture
def cabinet() -> Cabinet:
    made = Cabinet()
    entries = [
        {"name": name, "clientConfig": {"url": "https://x"}} for name in ("other", "validate.tocsin.dev")
    ]
    made.store(WEBHOOK, {"metadata": {}, "webhooks": entries})
    return made


def stored(cabinet: Cabinet) -> dict[str, bytes]:
    return decoded(cabinet.objects[PATH])


async def test_any_replica_makes_it_and_all_hold_the_same(cabinet: Cabinet) -> None:
    """The leader may be somebody else, or nobody yet."""
    first, second = Replica(cabinet, leads=False), Replica(cabinet, leads=False)
    await first.keeper.sync()
    await second.keeper.sync()
    assert first.keeper.held.fingerprint() == second.keeper.held.fingerprint()
    assert first.keeper.held.context().get_ca_certs() == []
    assert cabinet.objects[PATH]["type"] == "kubernetes.io/tls"
    assert stored(cabinet).keys() == {"tls.crt", "tls.key", "ca.crt", "ca.key"}
    assert cabinet.writes() == ["create /api/v1/namespaces/n/secrets"]


async def test_only_the_leader_renews_and_the_others_follow(cabinet: Cabinet) -> None:
    """The authority stays. A replica that does not lead takes what is stored."""
    leader, other = Replica(cabinet, leads=True), Replica(cabinet, leads=False)
    for replica in (leader, other):
        await replica.keeper.sync()
        replica.now += LIFETIME - dt.timedelta(days=20)
    before = stored(cabinet)
    await other.keeper.sync()
    assert stored(cabinet) == before
    await leader.keeper.sync()
    after = stored(cabinet)
    assert after["ca.crt"] == before["ca.crt"]
    assert after["tls.crt"] != before["tls.crt"]
    old = other.keeper.held.fingerprint()
    await other.keeper.sync()
    assert leader.keeper.held.fingerprint() == other.keeper.held.fingerprint() != old


async def test_a_change_meanwhile_is_not_overwritten(cabinet: Cabinet) -> None:
    """Whoever was faster wins; it is no problem, and the next look sees it."""
    leader = Replica(cabinet, leads=True)
    await leader.keeper.sync()
    leader.now += LIFETIME
    theirs = secret("n", "tocsin-admission", issue(HOSTS, leader.now).data())
    cabinet.between = lambda: cabinet.store(PATH, theirs) and None
    await leader.keeper.sync()
    assert stored(cabinet) == decoded(theirs)
    assert leader.problems == {}
    await leader.keeper.sync()
    assert stored(cabinet) == decoded(theirs)


async def test_somebody_elses_secret_is_used_and_never_written(cabinet: Cabinet) -> None:
    """Even when it runs out: then it is a problem that names it."""
    data = {k: v for k, v in issue(HOSTS, NOW).data().items() if k != "ca.key"}
    cabinet.store(PATH, {"metadata": {"labels": {"a": "b"}}, "data": encoded(data)})
    leader = Replica(cabinet, leads=True)
    await leader.keeper.sync()
    assert leader.keeper.held.is_there
    assert leader.problems == {}
    leader.now += LIFETIME + dt.timedelta(days=1)
    await leader.keeper.sync()
    assert "expired at 2026-09-29" in leader.problems["admission certificate"][1]
    assert cabinet.writes() == []
    cabinet.store(PATH, {"metadata": {}, "data": {}})
    await leader.keeper.sync()
    assert "holds no tls.crt" in leader.problems["admission certificate"][1]
    assert leader.keeper.held.is_there, "what it had before stays in use"


async def test_ours_is_made_anew_where_it_cannot_be_renewed(cabinet: Cabinet) -> None:
    """Somebody has damaged it."""
    leader = Replica(cabinet, leads=True)
    await leader.keeper.sync()
    broken = cabinet.objects[PATH]
    for change in ({"ca.key": "eA=="}, {"tls.crt": "eA=="}, {"ca.crt": "%"}):
        changed = {**broken, "data": {**broken["data"], **change, "tls.key": "eA=="}}
        cabinet.store(PATH, changed)
        await leader.keeper.sync()
        leader.keeper.held.context()
        assert leader.problems == {}


async def test_the_webhook_trusts_the_authority(cabinet: Cabinet) -> None:
    """By the leader, once; other entries and other fields stay; what somebody took away comes back."""
    leader = Replica(cabinet, leads=True, webhook="n-tocsin")
    for _ in range(3):
        await leader.keeper.sync()

    def configs() -> list[dict[str, Any]]:
        return [entry["clientConfig"] for entry in cabinet.objects[WEBHOOK]["webhooks"]]

    bundle = base64.b64encode(stored(cabinet)["ca.crt"]).decode()
    assert configs() == [{"url": "https://x"}, {"url": "https://x", "caBundle": bundle}]
    assert cabinet.writes().count(f"merge {WEBHOOK}") == 1
    del cabinet.objects[WEBHOOK]["webhooks"][1]["clientConfig"]["caBundle"]
    other = Replica(cabinet, leads=False, webhook="n-tocsin")
    await other.keeper.sync()
    assert "caBundle" not in configs()[1]
    await leader.keeper.sync()
    assert configs()[1]["caBundle"] == bundle


async def test_what_is_refused_is_an_open_problem(cabinet: Cabinet) -> None:
    """Until it is granted; the certificate that is held stays in use."""
    leader = Replica(cabinet, leads=True, webhook="n-tocsin")
    cabinet.refused["create"] = 403
    await leader.keeper.sync()
    assert leader.problems.keys() == {"admission certificate"}
    assert not leader.keeper.held.is_there
    cabinet.refused = {"merge": 403}
    await leader.keeper.sync()
    assert leader.problems.keys() == {"admission trust"}
    assert leader.keeper.held.is_there
    cabinet.refused.clear()
    await leader.keeper.sync()
    assert leader.problems == {}
    del cabinet.objects[WEBHOOK]
    await leader.keeper.sync()
    assert "n-tocsin" in leader.problems["admission trust"][1]


def test_without_a_certificate_there_is_nothing_to_serve() -> None:
    held = HeldCertificate()
    for ask in (held.context, held.fingerprint):
        with pytest.raises(FileNotFoundError):
            ask()
    held.hold(b"nonsense", b"nonsense")
    with pytest.raises(OSError, match="PEM"):
        held.context()
