# ruff: noqa: INP001 - a script beside what it reads, not a package
"""Writes docs/reference, a page per kind from its CRD and one about reasons: `python docs/schema/reference.py`."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from tocsin.api import conditions
from tocsin.api.conditions import ConditionType, Hint, Problem, Reason
from tocsin.api.crds import Crd, load_crds
from tocsin.api.loader import read_value

FOLDER = Path(__file__).parents[1] / "reference"
WRITTEN = "<!-- Written by docs/schema/reference.py from {source}. Change that, not this. -->\n"
SOURCE = "operator/tocsin/api/conditions.py"
FORMS = {
    "^([0-9]{1,4}d|[0-9]{1,6}[hms])+$": "duration, as `1h30m`",
    "^([01][0-9]|2[0-3]):[0-5][0-9]$": "time of day, as `08:00`",
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[-+][0-9]{2}:[0-9]{2})?$": "date and time",
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}(:[0-9]{2})?)?$": "date, or date and time",
    "^https?://[-A-Za-z0-9_.:\\[\\]]+([/?][!-~]*)?$": "http or https URL",
    "^[-A-Za-z0-9_.+=/!#%&'*?{|}~]+@[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?$": "e-mail address",
    "^[+][1-9][0-9]{2,14}$": "phone number, as `+14155550100`",
    "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$": "name in lower case",
}
"""What the patterns of the CRDs mean; any other is shown as it is."""
CLOSED = {
    ("name",): "reference: `name`",
    ("name", "namespace"): "reference: `name`, `namespace`",
    ("key", "name"): "reference: `name`, `key`",
    ("matchExpressions", "matchLabels"): "label selector",
}
"""Objects that are shown without their fields, which are the same wherever they are."""

COMMON = ("observedGeneration", "conditions", "findings")
"""What the status of every kind has."""

Schema = Mapping[str, Any]


def build() -> dict[str, str]:
    """Every file of docs/reference by name, with its text."""
    kinds = load_crds()
    pages = {f"{kind.lower()}.md": "\n".join(_page(crd)) + "\n" for kind, crd in kinds.items()}
    return pages | {
        "README.md": "\n".join(_contents(kinds)) + "\n",
        "reasons.md": "\n".join(_reasons()) + "\n",
    }


def _contents(kinds: Mapping[str, Crd]) -> Iterator[str]:
    yield WRITTEN.format(source="crds/")
    yield "# Reference\n"
    yield "Every field of every kind, as `kubectl explain` shows it too. What objects look like in use is in [examples](../../examples).\n"
    yield "| kind | short name | what it is |"
    yield "| --- | --- | --- |"
    for kind, crd in kinds.items():
        what = _cell(crd.schema["description"])
        yield f"| [{kind}]({kind.lower()}.md) | `{', '.join(crd.short_names)}` | {what} |"
    yield "\nReasons of conditions and findings: [reasons.md](reasons.md)."


def _page(crd: Crd) -> Iterator[str]:
    version = read_value(crd.text)["spec"]["versions"][0]
    yield WRITTEN.format(source=f"crds/{crd.group}_{crd.plural}.yaml")
    yield f"# {crd.kind}\n"
    yield f"{_cell(crd.schema['description'])}\n"
    yield f"`apiVersion: {crd.group}/{crd.version}`, `kind: {crd.kind}`. In kubectl: `{crd.plural}`, `{crd.kind.lower()}`, `{'`, `'.join(crd.short_names)}`."
    yield "\n## What you write: spec\n"
    yield from _fields(crd.schema["properties"]["spec"])
    if rules := list(_rules(crd.schema, "")):
        yield "\nRules beyond the form of single fields:\n"
        yield from rules
    yield "\n## What Tocsin writes: status\n"
    yield "Besides [what every kind has](reasons.md): conditions and findings.\n"
    status = crd.schema["properties"]["status"]["properties"]
    if own := {name: inner for name, inner in status.items() if name not in COMMON}:
        yield from _fields({"properties": own})
        yield ""
    yield "## What `kubectl get` shows\n"
    yield "| column | meaning |"
    yield "| --- | --- |"
    for column in version["additionalPrinterColumns"]:
        wide = " (with `-o wide`)" if column.get("priority") else ""
        meaning = _cell(column.get("description", "How old the object is."))
        yield f"| {column['name'].upper()}{wide} | {meaning} |"


def _fields(schema: Schema) -> Iterator[str]:
    yield "| field | form | default | meaning |"
    yield "| --- | --- | --- | --- |"
    yield from _rows(schema, "")


def _rows(schema: Schema, path: str) -> Iterator[str]:
    """A row per field below a place, in the order of the CRD."""
    required = schema.get("required", ())
    for name, inner in schema.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        default = (
            f"`{_value(inner['default'])}`" if "default" in inner else "required" if name in required else ""
        )
        yield f"| `{here}` | {_form(inner)} | {default} | {_cell(inner['description'])} |"
        while "items" in inner:
            inner, here = inner["items"], f"{here}[]"  # noqa: PLW2901 -- one step down
        if not _closed(inner):
            yield from _rows(inner, here)


def _closed(schema: Schema) -> str:
    return (
        CLOSED.get(tuple(sorted(schema.get("properties", {}))), "")
        if schema.get("x-kubernetes-map-type")
        else ""
    )


def _form(schema: Schema) -> str:
    match schema["type"]:
        case "array":
            least, most = schema.get("minItems", 0), schema["maxItems"]
            number = f"{least}" if least == most else f"{least} to {most}" if least else f"up to {most}"
            unique = ", each once" if schema["x-kubernetes-list-type"] == "set" else ""
            return f"list of {number}{unique}: {_form(schema['items'])}"
        case "object" if "additionalProperties" in schema:
            return f"map of up to {schema['maxProperties']}: {_form(schema['additionalProperties'])}"
        case "object":
            return _closed(schema) or ("object" if "properties" in schema else "empty object")
        case "string":
            return _text(schema)
        case "integer" if "maximum" in schema:
            return f"integer, {schema['minimum']} to {schema['maximum']}"
        case kind:
            return str(kind)


def _text(schema: Schema) -> str:
    if "enum" in schema:
        return " \\| ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("format") == "date-time":
        return "time (RFC 3339)"
    if form := FORMS.get(schema.get("pattern", "")):
        return form
    least, most = schema.get("minLength", 0), schema["maxLength"]
    length = f"text, {least} to {most} characters" if least else f"text, up to {most} characters"
    pattern = schema.get("pattern", "").replace("|", "\\|")
    return f"{length}, `{pattern}`" if pattern and len(pattern) < 80 else length


def _rules(schema: Schema, path: str) -> Iterator[str]:
    """The messages of the CEL rules, each with the field that it blames."""
    for rule in schema.get("x-kubernetes-validations", ()):
        yield f"* `{(path + rule.get('fieldPath', '')) or 'metadata.name'}`: {_cell(rule['message'])}"
    if _closed(schema):
        return
    for name, inner in schema.get("properties", {}).items():
        yield from _rules(inner, f"{path}.{name}" if path else name)
    if "items" in schema:
        yield from _rules(schema["items"], f"{path}[]")


def _value(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(_value(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _cell(text: str) -> str:
    """Text of the CRD as Markdown: what is markup there is none here, but code in back quotes stays."""
    parts = text.split("`")
    for at in range(0, len(parts), 2):
        for mark in ("\\", "*", "<", "[", "|"):
            parts[at] = parts[at].replace(mark, f"\\{mark}")
    return "`".join(parts)


def _reasons() -> Iterator[str]:
    yield WRITTEN.format(source=SOURCE)
    yield "# Conditions and reasons\n"
    yield "Types and reasons are part of the API: they do not change their meaning within a version. Messages may.\n"
    yield "## What every status has\n"
    status = next(iter(load_crds().values())).schema["properties"]["status"]["properties"]
    yield from _fields({"properties": {name: status[name] for name in COMMON}})
    yield "\n## Types of conditions\n"
    yield from _table(ConditionType, "type")
    yield "\n## Reasons of conditions\n"
    yield "`Ready` has the reason `Ready` when it is True, and otherwise that of the condition that keeps it False.\n"
    yield from _table(Reason, "reason")
    yield "\n## Reasons of warnings\n"
    yield "Findings of severity Warning: the object works, but probably not as its author thinks.\n"
    yield from _table(Hint, "reason")
    yield "\n## Reasons of refusals\n"
    yield "What admission, `tocsin lint` and the folder say about a manifest or file that cannot be taken.\n"
    yield from _table(Problem, "reason")


def _table(of: type[StrEnum], head: str) -> Iterator[str]:
    yield f"| {head} | meaning |"
    yield "| --- | --- |"
    meanings = _meanings(of)
    for member in of:
        yield f"| `{member.value}` | {_cell(meanings[member.name])} |"


def _meanings(of: type[StrEnum]) -> Mapping[str, str]:
    """The text below each member in its source. A member without one is a KeyError: every reason has a meaning."""
    tree = ast.parse(Path(conditions.__file__).read_text(encoding="utf-8"))
    (body,) = (node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == of.__name__)
    found = {}
    for member, below in itertools.pairwise(body):
        if isinstance(member, ast.Assign) and isinstance(below, ast.Expr):
            (target,) = member.targets
            found[ast.unparse(target)] = " ".join(str(ast.literal_eval(below.value)).split())
    return found


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    wanted = build()
    for old in FOLDER.glob("*.md"):
        if old.name not in wanted:
            old.unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
