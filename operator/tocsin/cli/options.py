"""Options that more than one command has, and what they mean."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import click
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from tocsin.notify.client import HttpClient, Outgoing
from tocsin.notify.guard import Guard, Hosts
from tocsin.notify.tools import Tools
from tocsin.receive.email import checked
from tocsin.receive.settings import MIB, Settings
from tocsin.receive.tls import Tls
from tocsin.sources.inbound_email.providers import PROVIDERS
from tocsin.store.keys import KeyRing

DEFAULT_DATABASE = "sqlite:///.tocsin/tocsin.db"
F = TypeVar("F", bound=Callable[..., Any])
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def setting(name: str, *names: str, **attributes: Any) -> Callable[[F], F]:
    """An option `--some-name` that is also an environment variable: `TOCSIN_` and its name in capitals."""
    variable = "TOCSIN_" + name.removeprefix("--").upper().replace("-", "_")
    return click.option(name, *names, envvar=variable, show_envvar=True, show_default=True, **attributes)


allow_outgoing = setting(
    "--allow-outgoing",
    "outgoing_allowed",
    multiple=True,
    metavar="HOST|NETWORK",
    help="Private target that outgoing requests may reach (repeatable).",
)

_RECEIVER = (
    setting(
        "--body-limit",
        type=click.IntRange(1, 1024),
        default=16,
        metavar="MIB",
        help="Largest body of an alert, in MiB.",
    ),
    setting("--tls-certificate", type=FILE, help="PEM certificate chain; reloaded when it changes."),
    setting("--tls-key", type=FILE, help="PEM key of the certificate."),
    setting("--tls-client-ca", type=FILE, help="PEM bundle: senders must show a certificate that it signed."),
    setting("--metrics-bearer", default="", help="Bearer token that /metrics asks for."),
    setting("--access-log", is_flag=True, help="Log every request, by integration, never by path."),
    setting(
        "--email-provider",
        "email_providers",
        multiple=True,
        type=click.Choice([*sorted(PROVIDERS), "amazon_ses_validated"]),
        help="Service that delivers mails (repeatable, tried in order).",
    ),
    setting("--email-domain", default="", help="Mails to <token>@DOMAIN are alerts."),
    setting(
        "--email-secret",
        default="",
        help="What the e-mail service proves itself with; better set by its variable.",
    ),
    setting("--email-ses-topic", default="", help="ARN of the SNS topic of amazon_ses_validated."),
    setting("--email-url", default="", help="The webhook's URL as Mandrill was given it."),
    allow_outgoing,
)

_PROXY = (
    setting(
        "--outgoing-proxy",
        default="",
        metavar="URL",
        help="HTTP proxy of outgoing requests, except those to hosts of --allow-outgoing.",
    ),
    setting(
        "--outgoing-no-proxy",
        multiple=True,
        metavar="HOST|NETWORK",
        help="Target that is reached without the proxy; .example.com is all below it (repeatable).",
    ),
)

_SENDING = (
    *_PROXY,
    setting(
        "--console-url",
        default="",
        metavar="BASE",
        help="Where people and chat tools reach the console: links of messages begin with it.",
    ),
    setting(
        "--watchdog-url",
        default="",
        metavar="URL",
        help="Asked once a minute while everything works; better set by its variable.",
    ),
    setting("--apprise", is_flag=True, help="Allow channels of the kind apprise (needs the extra apprise)."),
)


def sending_options(command: F) -> F:
    """What a process that sends messages can be told beside --allow-outgoing; `sending_settings` reads it."""
    for option in reversed(_SENDING):
        command = option(command)
    return command


def answering_options(command: F) -> F:
    """What a process that only answers people needs of these: chats are told there what came of a pressed button."""
    for option in reversed((allow_outgoing, *_PROXY)):
        command = option(command)
    return command


def sending_settings(given: dict[str, Any], allowed: tuple[str, ...]) -> SendingSettings:
    """Takes those options out of `given`, as many as the command has. Raises ClickException for what cannot be read."""
    names = ("outgoing_proxy", "outgoing_no_proxy", "console_url", "watchdog_url", "apprise")
    settings = SendingSettings(allowed=allowed, **{name: given.pop(name) for name in names if name in given})
    for option, url in (
        ("--outgoing-proxy", settings.outgoing_proxy),
        ("--console-url", settings.console_url),
        ("--watchdog-url", settings.watchdog_url),
    ):
        if url and not url.startswith(("http://", "https://")):
            raise click.UsageError(f"{option} begins with http:// or https://")
    try:
        Guard(allowed)
        Hosts(settings.outgoing_no_proxy)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    return settings


def receiver_options(command: F) -> F:
    """Everything that a process with a receiver can be told; `receiver_settings` reads it."""
    for option in reversed(_RECEIVER):
        command = option(command)
    return command


def receiver_settings(given: dict[str, Any]) -> tuple[Settings, Tls | None]:
    """Takes the receiver's options out of `given`. Raises ClickException where they do not fit together."""
    certificate, key, client_ca = (
        given.pop(name) for name in ("tls_certificate", "tls_key", "tls_client_ca")
    )
    if (certificate is None) != (key is None):
        raise click.UsageError("--tls-certificate and --tls-key go together")
    names = (
        "metrics_bearer",
        "access_log",
        "email_providers",
        "email_domain",
        "email_secret",
        "email_ses_topic",
        "email_url",
        "outgoing_allowed",
    )
    settings = Settings(body_limit=given.pop("body_limit") * MIB, **{name: given.pop(name) for name in names})
    try:
        checked(settings)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    return settings, None if certificate is None else Tls(
        certificate=certificate, key=key, client_ca=client_ca
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingSettings:
    """How messages leave a process. The URL of the watchdog, and a proxy's with its password, are secrets."""

    allowed: tuple[str, ...] = ()
    outgoing_proxy: str = field(default="", repr=False)
    outgoing_no_proxy: tuple[str, ...] = ()
    console_url: str = ""
    watchdog_url: str = field(default="", repr=False)
    apprise: bool = False

    def client(self) -> HttpClient:
        """For one event loop; to be closed at the end."""
        return HttpClient(
            Outgoing(allowed=self.allowed, proxy=self.outgoing_proxy, no_proxy=self.outgoing_no_proxy)
        )

    def tools(self, keys: KeyRing) -> Tools:
        """For one event loop; close its `http` at the end."""
        return Tools(
            http=self.client(),
            guard=Guard(self.allowed),
            apprise=self.apprise,
            console_url=self.console_url.rstrip("/"),
            keys=keys,
        )


class HostPort(click.ParamType[tuple[str, int]]):
    """`HOST:PORT`, `[IPv6]:PORT` or `:PORT` for all addresses."""

    name = "host:port"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        host, separator, port = str(value).rpartition(":")
        if not separator or not port.isdecimal() or int(port) > 65_535:
            self.fail(f"{value!r} is no address: write HOST:PORT, for example 127.0.0.1:8080", param, ctx)
        return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 -- asked for by `:PORT`


def key_ring(database: str) -> KeyRing:
    """The keys of TOCSIN_SECRET_KEY; for SQLite without one, a key file beside the database. Raises ClickException."""
    given = os.environ.get("TOCSIN_SECRET_KEY", "")
    try:
        if given:
            return KeyRing.from_environment(given)
        path = key_file(database)
        if path is None:
            raise click.ClickException(
                "TOCSIN_SECRET_KEY is not set: it encrypts credentials in the database (32 random bytes, base64)"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        return KeyRing.from_file(path)
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from None


def key_file(database: str) -> Path | None:
    """The key file beside an SQLite database; None for others. Raises ClickException."""
    try:
        url = make_url(database)
    except ArgumentError:
        raise click.ClickException(
            "--database cannot be read: write sqlite:///path or postgresql://..."
        ) from None
    if url.get_backend_name() != "sqlite" or not url.database:
        return None
    path = Path(url.database)
    return path.with_name(path.name + ".key")
