"""Values that people copy: the chart takes them, and they do what the page says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from charting import CHART, ROOT, Manifest, helm, manifests, named, of_kind, pods

FOLDER = ROOT / "examples" / "helm"
FILES = sorted(FOLDER.glob("*.yaml"))


def told(found: tuple[Manifest, ...], deployment: str) -> dict[str, Any]:
    """Environment of its pod; references to Secrets as (name, key)."""
    (container,) = dict(pods(found))[f"Deployment/{deployment}"]["containers"]
    return {
        entry["name"]: entry.get("value")
        or tuple(entry["valueFrom"]["secretKeyRef"][k] for k in ("name", "key"))
        for entry in container["env"]
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_helm_takes_the_values(path: Path) -> None:
    """Strictly, and each file is on the page."""
    done = helm("lint", "--strict", "--quiet", CHART, "--values", path)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stdout + done.stderr
    assert f"]({path.name})" in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_every_secret_that_they_name_is_made_on_the_page() -> None:
    """With the key that the chart looks for."""
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    for path in FILES:
        for _, pod in pods(manifests(path)):
            for entry in pod["containers"][0].get("env", []):
                reference = entry.get("valueFrom", {}).get("secretKeyRef")
                if reference and not reference["name"].endswith("-keys"):
                    (line,) = [line for line in page.splitlines() if f" {reference['name']} --from" in line]
                    assert f"={reference['key']}=" in line


def test_buttons_of_chats_work_in_one_pod() -> None:
    """Their URLs begin with the host that leads to /chat/."""
    found = manifests(FOLDER / "chat-buttons.yaml")
    settings = told(found, "tocsin")
    assert settings["TOCSIN_CONSOLE_URL"] == "https://tocsin-chat.example.com"
    assert settings["TOCSIN_ALLOW_OUTGOING"] == "smtp.mail.svc.cluster.local"
    assert settings["TOCSIN_WATCHDOG_URL"] == ("tocsin-watchdog", "url")
    (ingress,) = of_kind(found, "Ingress")
    (rule,) = ingress["spec"]["rules"]
    assert [path["path"] for path in rule["http"]["paths"]] == ["/chat/"]


def test_the_scaled_one_goes_out_by_its_proxy_only() -> None:
    """Ports of the policy are those of proxy, chat and mail; who takes alerts sends no mails."""
    found = manifests(FOLDER / "scaled.yaml")
    for role in ("dispatcher", "console"):
        assert told(found, f"tocsin-{role}")["TOCSIN_OUTGOING_PROXY"] == ("tocsin-proxy", "url")
    assert "TOCSIN_WATCHDOG_URL" not in told(found, "tocsin-console")
    policy = named(found, "NetworkPolicy", "tocsin-dispatcher")
    opened = {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
    assert opened == {53, 5432, 443, 3128, 8065, 587}
