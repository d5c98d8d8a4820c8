"""Options of the admission server, which commands that follow a cluster may run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tocsin.cli.options import HostPort, setting
from tocsin.receive.tls import Tls

if TYPE_CHECKING:
    from tocsin.control.kubernetes.admission.service import AdmissionOptions

F = TypeVar("F", bound=Callable[..., Any])

# A Secret that cert-manager has yet to make is mounted as an empty folder.
_LATER = click.Path(dir_okay=False, path_type=Path)

_ADMISSION = (
    setting(
        "--admission-listen",
        type=HostPort(),
        help="Where the API server asks about objects that are applied (HTTPS, path /validate).",
    ),
    setting("--admission-certificate", type=_LATER, help="PEM certificate chain that somebody else renews."),
    setting("--admission-key", type=_LATER, help="PEM key of that certificate."),
    setting(
        "--admission-secret",
        default="",
        metavar="NAME",
        help="Instead: Secret with a certificate that Tocsin makes and renews.",
    ),
    setting(
        "--admission-host",
        "admission_hosts",
        multiple=True,
        metavar="NAME",
        help="Name or address that the certificate in the Secret is for (repeatable).",
    ),
    setting(
        "--admission-webhook",
        default="",
        metavar="NAME",
        help="ValidatingWebhookConfiguration that Tocsin makes trust that certificate.",
    ),
)


def admission_options(command: F) -> F:
    """`read_admission` reads them."""
    for option in reversed(_ADMISSION):
        command = option(command)
    return command


def read_admission(given: dict[str, Any], *, wanted: bool = True) -> AdmissionOptions | None:
    """Takes the admission server's options out of `given`; None if there shall be none.

    Raises UsageError where they do not fit together.
    """
    listen: tuple[str, int] | None = given.pop("admission_listen")
    certificate: Path | None = given.pop("admission_certificate")
    key: Path | None = given.pop("admission_key")
    secret: str = given.pop("admission_secret")
    hosts: tuple[str, ...] = given.pop("admission_hosts")
    webhook: str = given.pop("admission_webhook")
    if listen is None or not wanted:
        return None
    if (certificate is None) != (key is None):
        raise click.UsageError("--admission-certificate and --admission-key go together")
    if (certificate is None) != bool(secret):
        raise click.UsageError(
            "--admission-listen needs either --admission-certificate with --admission-key, or --admission-secret"
        )
    if secret and not hosts:
        raise click.UsageError("--admission-secret needs --admission-host: what the certificate is for")
    return _options(listen, certificate, key, (secret, hosts, webhook))


def _options(
    listen: tuple[str, int],
    certificate: Path | None,
    key: Path | None,
    kept: tuple[str, tuple[str, ...], str],
) -> AdmissionOptions:
    # kopf weighs 50 MiB, which a Tocsin on a folder need not carry.
    from tocsin.control.kubernetes.admission.keeper import Kept
    from tocsin.control.kubernetes.admission.service import AdmissionOptions

    if certificate is not None and key is not None:
        return AdmissionOptions(listen=listen, files=Tls(certificate=certificate, key=key))
    secret, hosts, webhook = kept
    return AdmissionOptions(listen=listen, kept=Kept(secret=secret, hosts=hosts, webhook=webhook))
