"""An Amazon SNS for the tests: signs messages, serves its certificate and its confirmations over real HTTPS."""

from __future__ import annotations

import base64
import datetime as dt
import functools
import json
import ssl
from typing import Any, Self

import trustme
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from names import Names

from tocsin.notify.client import HttpClient, Outgoing
from tocsin.sources.amazon_sns.envelope import parse_envelope, signed_text

HOST = "sns.eu-west-1.amazonaws.com"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:alarms"
CERTIFICATE_URL = f"https://{HOST}/SimpleNotificationService-0a1b2c.pem"
CONFIRMATION_URL = f"https://{HOST}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=2336412f"


@functools.cache
def signing_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@functools.cache
def certificate() -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    begin = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(signing_key().public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + dt.timedelta(days=9999))
        .sign(signing_key(), hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def envelope(message: str, kind: str = "Notification", **changes: Any) -> dict[str, Any]:
    """A genuine envelope around a message; `changes` are made before it is signed. None leaves a field out."""
    body: dict[str, Any] = {
        "Type": kind,
        "MessageId": "e288882d-4281-5be4-8fde-dccc11c8cb01",
        "TopicArn": TOPIC,
        "Message": message,
        "Timestamp": "2026-03-02T13:01:45.134Z",
        "SignatureVersion": "1",
        "Signature": "unsigned",
        "SigningCertURL": CERTIFICATE_URL,
    }
    if kind == "Notification":
        body["Subject"] = None
        body["UnsubscribeURL"] = f"https://{HOST}/?Action=Unsubscribe&SubscriptionArn={TOPIC}:6590056b"
    else:
        body |= {"Token": "2336412f", "SubscribeURL": CONFIRMATION_URL}
    return signed({key: value for key, value in {**body, **changes}.items() if value is not None})


def signed(body: dict[str, Any]) -> dict[str, Any]:
    found = parse_envelope(body)
    assert found is not None
    algorithm = hashes.SHA256() if body["SignatureVersion"] == "2" else hashes.SHA1()
    signature = signing_key().sign(signed_text(found).encode(), padding.PKCS1v15(), algorithm)
    return {**body, "Signature": base64.b64encode(signature).decode()}


def headers(kind: str = "Notification", **more: str) -> dict[str, str]:
    """As SNS sends them: what is JSON is called text."""
    return {"Content-Type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": kind, **more}


class Amazon:
    """`status` and `body` change what is answered at the certificate's address."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.status = 200
        self.confirmation_status = 200
        self.body = certificate()
        self._authority = trustme.CA()
        self._runner = web.ServerRunner(web.Server(self._answer))

    @classmethod
    async def start(cls) -> Self:
        made = cls()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        made._authority.issue_cert(HOST).configure_cert(context)
        await made._runner.setup()
        await web.TCPSite(made._runner, "127.0.0.1", 0, ssl_context=context).start()
        return made

    async def stop(self) -> None:
        await self._runner.cleanup()

    def client(self, *, allowed: tuple[str, ...] = ("127.0.0.0/8",)) -> HttpClient:
        """The client that receivers use; only DNS and the trusted authority are ours."""
        trust = ssl.create_default_context()
        self._authority.configure_trust(trust)
        port = self._runner.addresses[0][1]
        names = Names(port, **{HOST.replace(".", "_"): [["127.0.0.1"]]})
        return HttpClient(Outgoing(allowed=allowed, trust=trust, resolver=names))

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        self.asked.append(request.raw_path)
        if request.path.endswith(".pem"):
            return web.Response(status=self.status, body=self.body)
        return web.Response(status=self.confirmation_status, text="<ConfirmSubscriptionResponse/>")


def alarm(state: str = "ALARM", name: str = "shop-5xx", **more: Any) -> str:
    arn = f"arn:aws:cloudwatch:eu-west-1:123456789012:alarm:{name}"
    return json.dumps({"AlarmName": name, "AlarmArn": arn, "NewStateValue": state, **more})
