"""Options that more than one command has, and what they mean."""

from __future__ import annotations

import os
from pathlib import Path

import click
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from tocsin.store.keys import KeyRing

DEFAULT_DATABASE = "sqlite:///.tocsin/tocsin.db"


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
        url = make_url(database)
        if url.get_backend_name() != "sqlite" or not url.database:
            raise click.ClickException(
                "TOCSIN_SECRET_KEY is not set: it encrypts credentials in the database (32 random bytes, base64)"
            )
        path = Path(url.database)
        path.parent.mkdir(parents=True, exist_ok=True)
        return KeyRing.from_file(path.with_name(path.name + ".key"))
    except ArgumentError:
        raise click.ClickException(
            "--database cannot be read: write sqlite:///path or postgresql://..."
        ) from None
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from None
