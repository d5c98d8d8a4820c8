"""URLs without a secret: Basic, Bearer and HMAC, with rotation; and what is never said or logged."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json

import pytest
from receiving import Wire, integration, token_of

BODY = b'{"title": "t"}'
URL = "/v1/namespaces/default/integrations/a/"
KEY = {"name": "creds", "key": "secret"}
SECRETS = {("creds", "secret"): "s3cret", ("creds", "user"): "alertmanager", ("creds", "password"): "p:w"}


def bearer(**more: object) -> object:
    return integration("a", auth={"mode": "Bearer", "bearer": {"secretRef": KEY}, **more})


def basic() -> object:
    refs = {
        "usernameSecretRef": {"name": "creds", "key": "user"},
        "passwordSecretRef": {"name": "creds", "key": "password"},
    }
    return integration("a", auth={"mode": "Basic", "basic": refs})


def signed(**spec: str) -> object:
    return integration("a", auth={"mode": "HMAC", "hmac": {"secretRef": KEY, **spec}})


def basic_header(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


async def test_bearer(receiver) -> None:
    """The right token is taken in any case of the scheme; all else is 401 with a challenge, and nothing is stored."""
    running = await receiver(bearer(), secrets=SECRETS)
    for header in ("Bearer s3cret", "bearer s3cret"):
        assert (await running.request("POST", URL, BODY, {"Authorization": header})).status == 200
    for header in ("Bearer wrong", "Bearer", "Basic s3cret", "s3cret", "Bearer s3cretx", "Bearer \xff"):
        answer = await running.request("POST", URL, BODY, {"Authorization": header})
        assert answer.problem["status"] == 401
        assert answer.headers["www-authenticate"] == 'Bearer realm="tocsin"'
    assert (await running.request("POST", URL, BODY)).status == 401
    assert await running.alerts() == 2
    assert (
        running.metric("tocsin_requests_refused_total", integration="default/a", reason="not-authenticated")
        == 7
    )
    assert "s3cret" not in running.log.getvalue()


async def test_basic(receiver) -> None:
    """Both halves must fit; a password may hold a colon."""
    running = await receiver(basic(), secrets=SECRETS)
    assert (
        await running.request("POST", URL, BODY, {"Authorization": basic_header("alertmanager", "p:w")})
    ).status == 200
    wrong = [
        basic_header("alertmanager", "x"),
        basic_header("x", "p:w"),
        "Basic !!!",
        "Basic " + base64.b64encode(b"\xff").decode(),
    ]
    for header in wrong:
        answer = await running.request("POST", URL, BODY, {"Authorization": header})
        assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Basic realm="tocsin"')
    assert await running.alerts() == 1


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
@pytest.mark.parametrize("encoding", ["Hex", "Base64"])
@pytest.mark.parametrize("prefix", ["", "sha256="])
async def test_hmac(receiver, algorithm: str, encoding: str, prefix: str) -> None:
    """Every algorithm, encoding and prefix; another body, key, prefix or no signature is refused."""
    running = await receiver(
        signed(algorithm=algorithm, encoding=encoding, prefix=prefix, header="X-Sign"), secrets=SECRETS
    )

    def signature(body: bytes, key: bytes = b"s3cret") -> str:
        digest = hmac.new(key, body, algorithm)
        text = digest.hexdigest() if encoding == "Hex" else base64.b64encode(digest.digest()).decode()
        return prefix + text

    assert (await running.request("POST", URL, BODY, {"X-Sign": signature(BODY)})).status == 200
    for value in (
        signature(b"{}"),
        signature(BODY, b"x"),
        signature(BODY).removeprefix(prefix) if prefix else "zz",
        "",
        "é",
    ):
        assert (await running.request("POST", URL, BODY, {"X-Sign": value})).problem[
            "field"
        ] == "header X-Sign"
    assert (await running.request("POST", URL, BODY)).status == 401
    assert await running.alerts() == 1


async def test_hmac_vectors_of_rfc_4231(receiver) -> None:
    """Test case 2 of RFC 4231: the key `Jefe`; the body is no JSON, so it is known by 400 instead of 401."""
    running = await receiver(signed(header="X-Sign"), secrets={("creds", "secret"): "Jefe"})
    digest = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    body = b"what do ya want for nothing?"
    assert hmac.new(b"Jefe", body, hashlib.sha256).hexdigest() == digest
    assert (await running.request("POST", URL, body, {"X-Sign": digest})).status == 400
    assert (await running.request("POST", URL, body, {"X-Sign": digest.upper()})).status == 400
    assert (await running.request("POST", URL, body, {"X-Sign": digest[:-1] + "4"})).status == 401


async def test_the_signature_covers_the_bytes_as_sent(receiver) -> None:
    """Of a compressed body the compressed bytes, of a chunked one what the chunks hold."""
    running = await receiver(signed(header="X-Sign"), secrets=SECRETS)
    packed = gzip.compress(BODY)
    sign = {"X-Sign": hmac.new(b"s3cret", packed, "sha256").hexdigest()}
    assert (await running.request("POST", URL, packed, {**sign, "Content-Encoding": "gzip"})).status == 200
    wire = await Wire.open(running.port)
    await wire.send(
        f"POST {URL} HTTP/1.1\r\nHost: r\r\nTransfer-Encoding: chunked\r\nX-Sign: {hmac.new(b's3cret', BODY, 'sha256').hexdigest()}\r\n\r\n".encode()
    )
    await wire.send(b"5\r\n" + BODY[:5] + b"\r\n")
    await wire.send(b"%x\r\n" % len(BODY[5:]) + BODY[5:] + b"\r\n0\r\n\r\n")
    assert (await wire.answer()).status == 200
    await wire.close()


async def test_a_replaced_secret_counts_during_its_overlap(receiver) -> None:
    """Both values are taken until the overlap ends, then only the new one."""
    running = await receiver(bearer(rotationOverlap="1h"), secrets=SECRETS)
    await running.put_secret("creds", "secret", "newer")
    for value in ("s3cret", "newer"):
        assert (await running.request("POST", URL, BODY, {"Authorization": f"Bearer {value}"})).status == 200
    await running.declare(bearer(rotationOverlap="0s"))
    assert (await running.request("POST", URL, BODY, {"Authorization": "Bearer s3cret"})).status == 401
    assert (await running.request("POST", URL, BODY, {"Authorization": "Bearer newer"})).status == 200


async def test_a_missing_secret_lets_nobody_in(receiver) -> None:
    """A Secret that is not there, and an empty one, fit no credential."""
    running = await receiver(bearer(), secrets={})
    for header in ("Bearer ", "Bearer x"):
        assert (await running.request("POST", URL, BODY, {"Authorization": header})).status == 401
    await running.put_secret("creds", "secret", "")
    assert (await running.request("POST", URL, BODY, {"Authorization": "Bearer "})).status == 401


async def test_names_without_credentials_are_404(receiver) -> None:
    """An unknown name and an Integration that is reached by its token are told apart from wrong credentials."""
    running = await receiver(integration("a"))
    for name in ("a", "nobody"):
        assert (await running.request("POST", f"/v1/namespaces/default/integrations/{name}/", BODY)).problem[
            "status"
        ] == 404


async def test_the_named_url_has_the_same_suffixes_and_spellings(receiver) -> None:
    """With and without slashes, heartbeat and the API of Alertmanager included."""
    running = await receiver(
        integration(
            "a",
            "prometheus",
            heartbeat={"interval": "5m"},
            auth={"mode": "Bearer", "bearer": {"secretRef": KEY}},
        ),
        secrets=SECRETS,
    )
    header = {"Authorization": "Bearer s3cret"}
    alert = b'[{"labels": {"alertname": "x"}}]'
    for path in (URL, URL[:-1], "/" + URL + "/", URL + "api/v2/alerts", URL + "/api/v2/alerts/"):
        assert (await running.request("POST", path, alert, header)).status == 200
        assert (await running.request("POST", path, alert)).status == 401
    for path in (URL + "heartbeat", URL + "heartbeat/", URL + "api/v2/status"):
        assert (await running.request("GET", path, None, header)).status == 200
        assert (await running.request("GET", path)).status == 401


async def test_the_deleted_integrations_name_answers_for_the_grace_period(receiver) -> None:
    """Into the dead letters, with the credentials it had."""
    running = await receiver(bearer(), integration("b"), secrets=SECRETS)
    await running.request("POST", URL, BODY, {"Authorization": "Bearer s3cret"})
    await running.delete("a", until=0)
    answer = await running.request("POST", URL, BODY, {"Authorization": "Bearer s3cret"})
    assert (answer.status, answer.json["reason"]) == (200, "deleted")
    assert (await running.request("POST", URL, BODY, {"Authorization": "Bearer wrong"})).status == 401
    assert await running.dead_letters() == [("deleted", BODY)]


async def test_tokens_and_paths_are_neither_logged_nor_counted(receiver) -> None:
    """Logs, errors and metrics name namespace/name only, whatever goes wrong."""
    from tocsin.receive.settings import Settings

    running = await receiver(integration("a"), settings=Settings(access_log=True))
    for body in (b"{}", b"nonsense", b"[]"):
        await running.post("a", body)
    await running.request("GET", running.url("a", "heartbeat/"))
    await running.request("PUT", running.url("a"), b"")
    await running.request("POST", running.url("a").replace("webhook", "zabbix"), b"{}")
    page = (await running.request("GET", "/metrics")).body.decode()
    log = running.log.getvalue()
    answered = [line for line in map(json.loads, log.splitlines()) if line["event"] == "request answered"]
    assert [(one["status"], one["integration"]) for one in answered] == [
        *((status, "default/a") for status in (200, 400, 400, 404, 405)),
        (400, ""),
    ]
    for text in (page, log):
        assert token_of("a") not in text
        assert "/integrations/" not in text


async def test_secrets_of_those_who_are_told_stay_where_they_are(receiver) -> None:
    """A receiver decrypts what its senders are known by, and nothing that only channels or webhooks need."""
    running = await receiver(bearer(), secrets=SECRETS | {("slack", "token"): "xoxb-1"})
    assert set(running.credentials.secrets) == {("default", "creds", "secret")}
