"""Errors of the database reach logs; the values of its rows do not: they are payloads, tokens and ciphertexts."""

from __future__ import annotations

import io

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError
from storing import send

from tocsin.store import Store
from tocsin.store.tables import setting
from tocsin.telemetry import Telemetry

SECRET = "s3cret-" * 3


def twice(connection: Connection) -> None:
    for _ in range(2):
        connection.execute(setting.insert().values(name=f"{SECRET}\n{SECRET}", value=SECRET.encode()))


def nothing(connection: Connection) -> None:
    connection.execute(setting.insert().values(name=SECRET, value=None))


@pytest.mark.parametrize("mistake", [twice, nothing])
@pytest.mark.parametrize("log_format", ["json", "text"])
async def test_a_logged_error_holds_no_value(store: Store, mistake, log_format: str) -> None:
    """Neither as a parameter of the statement nor in what PostgreSQL says about the row; the statement is there."""
    await send(store)
    stream = io.StringIO()
    telemetry = Telemetry.create(log_format=log_format, stream=stream, process_metrics=False)
    try:
        await store.write(mistake)
    except IntegrityError:
        telemetry.log.exception("refused")
    assert "INSERT INTO setting" in stream.getvalue()
    assert "s3cret" not in stream.getvalue()
