"""Puts the authority of the admission certificate into the ValidatingWebhookConfiguration, once, and ends.

Whoever may do that could point the webhook elsewhere and read what people apply, so the process that takes alerts must
not. This runs with an account of its own that may read one Secret and patch one object.
"""

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
PATIENCE = 600
WEBHOOK = "validate.tocsin.dev"


class Server:
    """The API server, as a service account sees it."""

    def __init__(self, account: Path) -> None:
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
        self._base = f"https://{f'[{host}]' if ':' in host else host}:{port}"
        self._account = account
        self._context = ssl.create_default_context(cafile=str(account / "ca.crt"))

    def ask(self, method: str, path: str, body: object = None) -> dict[str, object]:
        request = urllib.request.Request(
            self._base + path, method=method, data=None if body is None else json.dumps(body).encode()
        )
        request.add_header("Authorization", f"Bearer {(self._account / 'token').read_text().strip()}")
        request.add_header("Content-Type", "application/strategic-merge-patch+json")
        with urllib.request.urlopen(request, timeout=10, context=self._context) as response:
            return json.load(response)


def authority(server: Server, namespace: str, secret: str, deadline: float) -> str:
    """`ca.crt` of the Secret, in base64 as it stands there; waits until Tocsin has made it. Raises TimeoutError."""
    said = ""
    while time.monotonic() < deadline:
        try:
            data = server.ask("GET", f"/api/v1/namespaces/{namespace}/secrets/{secret}").get("data") or {}
            found = data.get("ca.crt", "")
            reason = f"Secret {secret} has no ca.crt"
        except OSError as error:
            found, reason = "", f"Secret {secret}: {error}"
        if found:
            return found
        if reason != said:
            print("waiting:", reason, flush=True)
            said = reason
        time.sleep(1)
    raise TimeoutError(said)


def main(secret: str, configuration: str, account: Path = ACCOUNT, patience: float = PATIENCE) -> str:
    """What is wrong; nothing if all is well."""
    server = Server(account)
    namespace = (account / "namespace").read_text().strip()
    try:
        bundle = authority(server, namespace, secret, time.monotonic() + patience)
        path = f"/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/{configuration}"
        server.ask("PATCH", path, {"webhooks": [{"name": WEBHOOK, "clientConfig": {"caBundle": bundle}}]})
    except OSError as error:  # TimeoutError is one
        return str(error)
    print(f"{configuration} trusts the authority of Secret {secret}")
    return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]) or None)
