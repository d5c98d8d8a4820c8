# ruff: noqa: INP001 - a script beside its output, not a package
"""docs/configuration.md: every command, option and TOCSIN_ variable, out of the commands themselves.

`make docs` writes it; a test fails while it is old.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import click

from tocsin.cli import COMMANDS
from tocsin.cli.plugin import ASKING
from tocsin.cli.plugin import main as plugin

PAGE = Path(__file__).resolve().parents[1] / "configuration.md"
HEAD = """\
<!-- Written by `make docs` from the commands; edit those. -->
# Configuration

Every option of every command, and the variable that sets it, too. An option given on the command line wins over its variable; repeatable options take a list
separated by spaces in their variable. On Kubernetes the chart sets them: its values are in [its README](../charts/tocsin/README.md). What the commands are for is in
[cli.md](cli.md).

## Variables without an option

| variable | meaning |
| --- | --- |
| `TOCSIN_SECRET_KEY` | Keys that credentials are encrypted with in the database: 32 random bytes in base64 each, separated by commas. The first encrypts, all decrypt. With SQLite and without it: a key file beside the database. |
| `TOCSIN_API_TOKEN` | Bearer token with which the commands ask the API. |
| `POD_NAME` | What this process is called among leaders. Default: the host's name. |
| `KUBECONFIG` | Which cluster to follow outside of one. |
"""


def generated() -> dict[Path, str]:
    return {PAGE: HEAD + "".join(f"\n{line}\n" if line.startswith("#") else f"{line}\n" for line in _lines())}


def _lines() -> Iterator[str]:
    for name in COMMANDS:
        yield from _command(f"tocsin {name}", importlib.import_module(f"tocsin.cli.{name}").command)
    yield from _command("kubectl tocsin", plugin)
    yield f"\nIts commands are {', '.join(f'`{name}`' for name in ASKING)}, with the options above."


def _command(title: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=title)
    arguments = " ".join(p.make_metavar(context) for p in command.params if isinstance(p, click.Argument))
    yield f"## `{f'{title} {arguments}'.strip()}`"
    yield f"\n{' '.join((command.help or '').split())}\n"
    yield "| option | variable | default | meaning |"
    yield "| --- | --- | --- | --- |"
    for option in command.params:
        if isinstance(option, click.Option):
            yield _row(option, context)


def _row(option: click.Option, context: click.Context) -> str:
    names = ", ".join(f"`{name}`" for name in sorted(option.opts, key=len, reverse=True))
    metavar = option.make_metavar(context).replace("|", "\\|")
    value = "" if option.is_flag else f" `{metavar}`"
    default = option.to_info_dict()["default"]
    variable = f"`{option.envvar}`" if option.envvar else ""
    text = "Required." if option.required else ""
    shown = "" if option.is_flag or option.multiple or default in {None, ""} else f"`{default}`"
    return f"| {names}{value} | {variable} | {shown} | {_cell(option.help or '')}{text} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def main() -> None:
    for path, text in generated().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
