"""`kubectl tocsin`: the commands that ask a Tocsin, on the one in the cluster of the kubeconfig.

It reaches that one through `kubectl port-forward`, so whatever way kubectl logs in works here, too, and needs the
permission `pods/portforward`. The API's token is TOCSIN_API_TOKEN, as ever.
"""

from __future__ import annotations

import subprocess
from functools import cache, partial

import click

from tocsin import __version__
from tocsin.cli import LazyGroup
from tocsin.cli.client import ApiError

ASKING = ("groups", "endpoints", "send", "replay", "page", "oncall", "deliveries", "lint")
_FORWARDING = "Forwarding from 127.0.0.1:"


class AskingGroup(LazyGroup):
    """Those of `tocsin` that make sense here."""

    commands_shown = ASKING


@click.group(cls=AskingGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kubectl-tocsin")
@click.option("-n", "--namespace", default="", help="Where Tocsin is. Default: that of the context.")
@click.option("--context", "cluster", default="", help="Context of the kubeconfig.")
@click.option("--kubeconfig", default="", help="Another kubeconfig.")
@click.option("--release", default="tocsin", show_default=True, help="Name of the Helm release.")
@click.pass_context
def main(ctx: click.Context, namespace: str, cluster: str, kubeconfig: str, release: str) -> None:
    """Ask the Tocsin that runs in this cluster."""
    flags = {"--namespace": namespace, "--context": cluster, "--kubeconfig": kubeconfig}
    kubectl = ("kubectl", *(f"{flag}={value}" for flag, value in flags.items() if value))
    console = cache(partial(_forward, ctx, kubectl, f"{release}-console", 8081))
    alerts = cache(partial(_forward, ctx, kubectl, release, 8080))

    def inside() -> str:
        """What senders in the cluster use."""
        return f"http://{release}.{namespace or _namespace(kubectl)}.svc:8080"

    # Called only where neither --url nor TOCSIN_URL says where Tocsin is.
    ctx.default_map = {name: {"url": console} for name in ASKING} | {
        "endpoints": {"url": console, "alerts_url": inside},
        "send": {"url": console, "alerts_url": alerts},
    }


def _forward(ctx: click.Context, kubectl: tuple[str, ...], service: str, port: int) -> str:
    """A loopback URL of a Service in the cluster; it works until the command ends. Raises ApiError."""
    command = [*kubectl, "port-forward", "--address=127.0.0.1", f"service/{service}", f":{port}"]
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: S603 -- kubectl, which has called us
    except OSError as error:
        raise ApiError(f"kubectl cannot be run: {error.strerror}") from error
    ctx.call_on_close(process.wait)
    ctx.call_on_close(process.terminate)
    assert process.stdout is not None
    assert process.stderr is not None
    for line in process.stdout:
        if line.startswith(_FORWARDING):
            return f"http://127.0.0.1:{line.removeprefix(_FORWARDING).split()[0]}"
    said = process.stderr.read().strip().splitlines() or ["kubectl port-forward ended"]
    raise ApiError(f"{said[-1]} (is this Tocsin's --namespace and --release?)")


def _namespace(kubectl: tuple[str, ...]) -> str:
    command = [*kubectl, "config", "view", "--minify", "-o", "jsonpath={..namespace}"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 -- as above
    return found.stdout.strip() or "default"
