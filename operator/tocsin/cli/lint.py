"""`tocsin lint`: what is wrong with a folder of manifests, by the same compiler that runs them."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import click
import msgspec

from tocsin.api.common import Severity
from tocsin.cli.client import output_option
from tocsin.control.folder import Folder
from tocsin.control.verdict import PlacedFinding, placed_findings
from tocsin.flow.compiler import compile_flow
from tocsin.flow.model import Micros
from tocsin.sources import load_types


def lint_roots(roots: tuple[Path, ...]) -> tuple[PlacedFinding, ...]:
    """All findings of these folders and files, as `tocsin run` would report them."""
    contents = Folder(roots, digest=lambda _value: "", last_good={}).read()
    # Secrets of a cluster are not in a folder: one that is not there is no mistake of the manifests.
    inventory = replace(contents.inventory, secrets_known=False)
    compiled = compile_flow(inventory, types=load_types(), now=Micros(time.time_ns() // 1000))
    return placed_findings(compiled.reports, contents.manifests, contents.findings)


@click.command("lint")
@click.argument(
    "roots", nargs=-1, required=True, metavar="DIR|FILE...", type=click.Path(exists=True, path_type=Path)
)
@output_option
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
def command(roots: tuple[Path, ...], output: str, *, strict: bool) -> None:
    """Check manifests: schema, rules, templates, references, windows. Exit code 1 if anything is wrong."""
    findings = lint_roots(roots)
    errors = sum(1 for finding in findings if strict or finding.severity is Severity.ERROR)
    if output == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(findings), indent=2).decode())
    else:
        for finding in findings:
            click.echo(str(finding))
        click.echo(
            f"{len(findings)} findings, {errors} of them errors" if findings else "no findings", err=True
        )
    sys.exit(1 if errors else 0)
