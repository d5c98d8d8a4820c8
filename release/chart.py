"""What the chart has from elsewhere: the CRDs from crds/, and the table of values in its README from the schema.

`make chart` writes them; a test fails while they are old.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "charts" / "tocsin"
CRDS = ROOT / "crds"
README = CHART / "README.md"
BEGIN = "<!-- values: written by `make chart` -->"

Schema = dict[str, Any]


def generated() -> dict[Path, str]:
    """Every generated file of the chart, with what it must hold."""
    files = {
        CHART / "files" / "crds" / crd.name: crd.read_text(encoding="utf-8")
        for crd in sorted(CRDS.glob("*.yaml"))
    }
    before, _, _ = README.read_text(encoding="utf-8").partition(BEGIN)
    return files | {README: before + BEGIN + "\n\n" + "\n".join(_table()) + "\n"}


def _table() -> Iterator[str]:
    schema: Schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    defaults = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    yield "| value | default | meaning |"
    yield "| --- | --- | --- |"
    for path, part, default in walk(schema, schema, defaults):
        shown = "" if isinstance(part.get("properties"), dict) else f"`{json.dumps(default)}`"
        yield f"| `{path}` | {shown} | {part['description']} |"


def walk(root: Schema, part: Schema, default: object, path: str = "") -> Iterator[tuple[str, Schema, object]]:
    """Every value with its schema and default, in the schema's order."""
    for name, given in part.get("properties", {}).items():
        found = root["$defs"][given["$ref"].rpartition("/")[2]] if "$ref" in given else given
        below = default.get(name) if isinstance(default, dict) else None
        if name == "global" and not path:
            continue  # only there because Helm passes it to charts in charts
        yield path + name, found, below
        yield from walk(root, found, below, f"{path}{name}.")


def main() -> None:
    wanted = generated()
    for old in (CHART / "files" / "crds").glob("*"):
        if old not in wanted:
            old.unlink()
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
