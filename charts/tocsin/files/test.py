"""What `helm test` does: post an alert through the front door, see its group open, and resolve it again."""

import json
import secrets
import ssl
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

PATIENCE = 90


def post(url: str, body: dict[str, str]) -> dict[str, object]:
    request = urllib.request.Request(
        url, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
    )
    # The certificate of the receiver may be one for its name outside of the cluster.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with urllib.request.urlopen(request, timeout=10, context=context) as response:
        return json.load(response)


def main(folder: Path) -> str:
    """What is wrong; nothing if all is well."""
    url = (folder / "url").read_text().strip()
    run = secrets.token_hex(6)
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            opened = post(url, {"run": run, "title": "Demo alert of helm test", "state": "alerting"})
            break
        except OSError as error:
            # A receiver that has not loaded the new Integration yet answers 403, one that starts 503.
            if time.monotonic() > deadline:
                return f"the alert was not taken within {PATIENCE} seconds: {error}"
            time.sleep(1)
    print("opened:", json.dumps(opened))
    if opened.get("state") != "firing" or opened.get("created") is not True:
        return "the alert opened no group"
    closed = post(url, {"run": run, "state": "ok"})
    print("resolved:", json.dumps(closed))
    if closed.get("state") != "resolved" or closed.get("alert_group_id") != opened.get("alert_group_id"):
        return "the group was not resolved by its source"
    return ""


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])) or None)
