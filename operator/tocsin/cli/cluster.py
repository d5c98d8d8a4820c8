"""Options of the commands that follow a Kubernetes cluster."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from sqlalchemy.engine import make_url

from tocsin.cli.options import key_file, key_ring, setting
from tocsin.store.keys import KeyRing
from tocsin.telemetry import Telemetry

if TYPE_CHECKING:
    from tocsin.control.kubernetes.operator import OperatorOptions

F = TypeVar("F", bound=Callable[..., Any])

_CLUSTER = (
    setting(
        "--namespace",
        "namespaces",
        multiple=True,
        metavar="NAME",
        help="Namespace to follow (repeatable). Default: the one that this process, or the kubeconfig's context, is in.",
    ),
    setting("--all-namespaces", is_flag=True, help="Follow the whole cluster; needs ClusterRoles."),
    setting(
        "--class",
        "instance",
        default="",
        metavar="NAME",
        help="Serve only objects labelled tocsin.dev/class=NAME. Default: only those without that label.",
    ),
    setting("--lease-name", default="", help="Lease of the leader. Default: tocsin, or tocsin-<class>."),
    setting("--lease-namespace", default="", help="Default: the namespace that this process is in."),
    setting(
        "--internal-url",
        default="",
        metavar="BASE",
        help="What URLs in endpoint Secrets begin with, inside the cluster, e.g. http://tocsin.tocsin.svc:8080.",
    ),
    setting("--external-url", default="", metavar="BASE", help="The same from outside; may be left out."),
)
keys_option = setting(
    "--keys-secret",
    default="",
    metavar="NAME",
    help="Secret whose entry `keys` is used where TOCSIN_SECRET_KEY is not set; made if it is not there.",
)
_NAMES = (
    "namespaces",
    "all_namespaces",
    "instance",
    "lease_name",
    "lease_namespace",
    "internal_url",
    "external_url",
)


def cluster_options(command: F) -> F:
    """Everything that an operator can be told; `operator_options` reads it."""
    for option in reversed(_CLUSTER):
        command = option(command)
    return command


def operator_options(given: dict[str, Any], database: str, *, wanted: bool = True) -> OperatorOptions | None:
    """Takes the cluster's options out of `given`; None if they are not `wanted`.

    Raises ClickException where they do not fit together, or if there is no cluster to log in to.
    """
    taken = {name: given.pop(name) for name in _NAMES}
    return _options(taken, database) if wanted else None


def cluster_keys(database: str, secret: str, telemetry: Telemetry) -> KeyRing:
    """The keys of TOCSIN_SECRET_KEY, else those of a Secret, for which this waits. Raises ClickException.

    A Secret that has to be made gets the keys of the key file beside the database, if there is one.
    """
    if not secret or os.environ.get("TOCSIN_SECRET_KEY"):
        return key_ring(database)
    from tocsin.control.kubernetes.keys import wait_for_keys
    from tocsin.control.kubernetes.login import login

    beside = key_file(database)
    try:
        seed = beside.read_text(encoding="ascii").strip() if beside is not None and beside.exists() else ""
        keys = asyncio.run(wait_for_keys(login, secret, telemetry.log, seed=seed))
        return KeyRing.from_environment(keys)
    except (ValueError, OSError) as error:
        raise click.ClickException(f"the keys in Secret {secret} cannot be used: {error}") from None


def _options(given: dict[str, Any], database: str) -> OperatorOptions:
    # kopf weighs 50 MiB, which a Tocsin on a folder need not carry.
    from tocsin.control.kubernetes.login import LoginFailed, login, own_namespace
    from tocsin.control.kubernetes.operator import OperatorOptions
    from tocsin.control.kubernetes.resources import Scope
    from tocsin.control.kubernetes.secrets import Bases
    from tocsin.control.kubernetes.watching import quiet_kopf

    quiet_kopf()
    namespaces: tuple[str, ...] = given["namespaces"]
    everything: bool = given["all_namespaces"]
    if everything and namespaces:
        raise click.UsageError("--namespace and --all-namespaces exclude each other")
    if not everything and not namespaces:
        try:
            namespaces = (own_namespace(login()),)
        except LoginFailed as failed:
            raise click.ClickException(str(failed)) from None
    instance: str = given["instance"]
    name: str = given["lease_name"]
    return OperatorOptions(
        scope=Scope(namespaces=tuple(dict.fromkeys(namespaces)), instance=instance),
        holder=_holder(database),
        lease_name=name or (f"tocsin-{instance}" if instance else "tocsin"),
        lease_namespace=given["lease_namespace"],
        bases=Bases(internal=given["internal_url"], external=given["external_url"]),
    )


def _holder(database: str) -> str:
    """Who this process is as a leader.

    With SQLite there is one process per database, so that after a crash the next one may take the Lease over at once:
    it has the same name. On PostgreSQL each process has its own.
    """
    host = os.environ.get("POD_NAME") or socket.gethostname()
    url = make_url(database)
    if url.get_backend_name() != "sqlite":
        return f"{host}_{secrets.token_hex(6)}"
    path = hashlib.sha256(os.path.realpath(url.database or "").encode()).hexdigest()
    return f"{host}_{path[:12]}"
