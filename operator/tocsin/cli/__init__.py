"""The `tocsin` command: one module per subcommand, imported only when it is used."""

from __future__ import annotations

import importlib

import click

from tocsin import __version__

COMMANDS = (
    "run",
    "operator",
    "receiver",
    "dispatcher",
    "console",
    "lint",
    "endpoints",
    "groups",
    "send",
    "replay",
    "page",
    "oncall",
    "deliveries",
)


class LazyGroup(click.Group):
    """Loads a subcommand's module on use, so that `tocsin lint` does not import a database layer."""

    commands_shown: tuple[str, ...] = COMMANDS

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(self.commands_shown)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in self.commands_shown:
            return None
        command: click.Command = importlib.import_module(f"tocsin.cli.{cmd_name}").command
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tocsin")
def main() -> None:
    """Alert flow as resources: declare integrations, routes, templates, label rules and maintenance windows; Tocsin enforces them."""
