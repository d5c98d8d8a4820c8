"""What commands that follow a cluster can be told about keys and admission."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from tocsin.cli import main
from tocsin.cli.admission import admission_options, read_admission
from tocsin.control.kubernetes.admission.keeper import Kept

LISTEN = ("--admission-listen", ":9443")
FILES = ("--admission-certificate", "/a/tls.crt", "--admission-key", "/a/tls.key")
SECRET = ("--admission-secret", "tocsin-admission", "--admission-host", "a.svc", "--admission-host", "b.svc")


def read(*arguments: str, **environment: str) -> tuple[Any, str]:
    """The options, and what is said against them."""
    found: list[Any] = []

    @click.command()
    @admission_options
    def command(**given: Any) -> None:
        found.append(read_admission(given))
        assert given == {}

    done = CliRunner().invoke(command, arguments, env=environment)
    return (found or [None])[0], done.output


def test_a_certificate_that_is_kept_or_one_in_files() -> None:
    """The files need not be there yet: who makes them may come later."""
    kept, _ = read(*LISTEN, *SECRET, "--admission-webhook", "n-tocsin")
    assert kept.listen == ("0.0.0.0", 9443)
    assert kept.kept == Kept(secret="tocsin-admission", hosts=("a.svc", "b.svc"), webhook="n-tocsin")
    files, _ = read(*LISTEN, *FILES)
    assert (files.kept, files.files.certificate) == (None, Path("/a/tls.crt"))


def test_by_environment_as_the_chart_does() -> None:
    made, _ = read(
        TOCSIN_ADMISSION_LISTEN=":9443",
        TOCSIN_ADMISSION_SECRET="s",
        TOCSIN_ADMISSION_HOST="a.svc b.svc",
        TOCSIN_ADMISSION_WEBHOOK="w",
    )
    assert made.kept == Kept(secret="s", hosts=("a.svc", "b.svc"), webhook="w")


def test_without_an_address_there_is_none() -> None:
    assert read(*SECRET) == (None, "")
    assert read() == (None, "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (LISTEN, "needs either"),
        ((*LISTEN, *FILES, *SECRET), "needs either"),
        ((*LISTEN, *FILES[:2]), "go together"),
        ((*LISTEN, *SECRET[:2]), "needs --admission-host"),
    ],
)
def test_what_does_not_fit_together_is_said(arguments: tuple[str, ...], said: str) -> None:
    assert said in read(*arguments)[1]


def options_of(command: str) -> set[str]:
    found = main.get_command(click.Context(main), command)
    assert found is not None
    return {option for entry in found.params for option in entry.opts}


def test_only_commands_that_follow_a_cluster_have_them() -> None:
    """Receivers and the like know nothing of the API server."""
    for command in ("operator", "run"):
        assert {"--keys-secret", "--admission-listen", "--admission-secret"} <= options_of(command)
    for command in ("receiver", "dispatcher", "console"):
        assert not any("admission" in option for option in options_of(command))
