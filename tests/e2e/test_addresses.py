"""What answers where: one address for everything, or one for each audience."""

from __future__ import annotations

from collections.abc import Callable

from tocsin_process import Tocsin, free_port, request

MANIFESTS = {
    "flow.yaml": "{apiVersion: tocsin.dev/v1alpha1, kind: Integration, metadata: {name: a}, spec: {type: webhook}}"
}


def test_one_address_answers_everything(tocsin: Callable[..., Tocsin]) -> None:
    """By default, so that nothing has to be set to try it."""
    running = tocsin(MANIFESTS)
    for path in ("/api/v1/alert_groups", "/metrics", "/healthz"):
        assert request("GET", running.base + path).status == 200
    (endpoint,) = request("GET", f"{running.base}/api/v1/endpoints").json
    assert request("POST", endpoint["url"], {}).status == 200


def test_an_address_of_its_own_takes_the_api_away_from_the_senders(tocsin: Callable[..., Tocsin]) -> None:
    """Where alerts come in nobody can read them; where the API is nobody can send them."""
    port = free_port()
    running = tocsin(MANIFESTS, arguments=("--console-listen", f"127.0.0.1:{port}"))
    console = f"http://127.0.0.1:{port}"
    (endpoint,) = request("GET", f"{console}/api/v1/endpoints?url={running.base}").json
    assert request("POST", endpoint["url"], {}).status == 200
    assert request("GET", f"{console}/api/v1/alert_groups").json["results"]
    assert request("GET", f"{running.base}/api/v1/alert_groups").status == 404
    assert request("POST", endpoint["url"].replace(running.base, console), {}).status == 404
