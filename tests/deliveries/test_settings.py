"""What the operator of a dispatcher can say about how messages leave, and what is refused at once."""

from __future__ import annotations

from typing import Any

import click
import pytest
from click.testing import CliRunner
from delivering import KEYS

from tocsin.cli.options import SendingSettings, allow_outgoing, sending_options, sending_settings


def read(*arguments: str, **environment: str) -> SendingSettings:
    found: list[SendingSettings] = []

    @click.command()
    @allow_outgoing
    @sending_options
    def command(*, outgoing_allowed: tuple[str, ...], **given: Any) -> None:
        found.append(sending_settings(given, outgoing_allowed))

    done = CliRunner().invoke(command, arguments, env=environment)
    if done.exit_code:
        raise ValueError(done.output)
    return found[0]


async def test_everything_can_be_said_by_environment() -> None:
    """Lists are separated by spaces; the console's URL loses its final slash; tools are made of it."""
    settings = read(
        TOCSIN_ALLOW_OUTGOING="hooks.internal 10.0.0.0/8",
        TOCSIN_OUTGOING_PROXY="http://proxy:3128",
        TOCSIN_OUTGOING_NO_PROXY=".example.com",
        TOCSIN_CONSOLE_URL="https://tocsin.example/",
        TOCSIN_WATCHDOG_URL="https://watch.example/s3cret",
        TOCSIN_APPRISE="1",
    )
    tools = settings.tools(KEYS)
    assert (tools.console_url, tools.apprise) == ("https://tocsin.example", True)
    assert tools.guard.refusal("10.1.2.3") == ""
    assert tools.guard.refusal("192.168.1.1")
    assert "s3cret" not in repr(settings)
    assert "proxy:3128" not in repr(settings)
    await tools.http.close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--console-url", "tocsin.example"], "--console-url begins with http:// or https://"),
        (["--watchdog-url", "ftp://x"], "--watchdog-url begins with"),
        (["--outgoing-proxy", "socks5://x"], "--outgoing-proxy begins with"),
        (["--allow-outgoing", "10.0.0.0/99"], "10.0.0.0/99"),
    ],
)
def test_what_cannot_be_right_is_refused_at_the_start(arguments: list[str], said: str) -> None:
    """In one line that names the option or the entry."""
    with pytest.raises(ValueError, match=said):
        read(*arguments)
