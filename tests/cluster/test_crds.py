"""What a real API server takes, refuses and fills in is what the offline checker says; scalars are what kubectl reads."""

from __future__ import annotations

import copy
import json
import random
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster_plane import Plane
from cluster_world import World

from tocsin.api.check import check, complete
from tocsin.api.crds import load_crds
from tocsin.api.loader import load_documents

API = Path(__file__).parents[1] / "api"
CASES = sorted((API / "cel").glob("*/*.yaml"))
EXAMPLES = Path(__file__).parents[2] / "examples"
SCALARS = [json.loads(line) for line in (API / "yaml_scalars.jsonl").read_text("utf-8").splitlines()]
ACCEPTED = Path(__file__).parents[1] / "upgrade" / "previous" / "accepted.yaml"
MUTATIONS = 600


def send(plane: Plane, document: dict[str, Any], namespace: str, *, name: str = "") -> tuple[int, Any]:
    """Creates (or, with `name`, replaces) an object without storing it, strictly, as kubectl does."""
    path = f"/apis/tocsin.dev/v1alpha1/namespaces/{namespace}/{load_crds()[document['kind']].plural}"
    query = "?dryRun=All&fieldValidation=Strict"
    if name:
        return plane.call("PUT", f"{path}/{name}{query}", document)
    return plane.call("POST", path + query, document)


def documents_of(path: Path) -> list[dict[str, Any]]:
    return [document.value for document in load_documents(path.read_text("utf-8"), path.name).documents]


def moved(document: dict[str, Any], namespace: str) -> dict[str, Any]:
    return {**document, "metadata": {**document["metadata"], "namespace": namespace}}


def test_every_rule_holds_on_the_server_as_it_does_offline(world: World) -> None:
    """Each passing manifest is taken and each failing one refused with the rule's own message."""
    for path in CASES:
        *before, document = (moved(value, world.namespace) for value in documents_of(path))
        name = ""
        if before:
            world.kubectl("create", "-f", "-", text=json.dumps(before[0]))
            name = document["metadata"]["name"]
            present = world.get(document["kind"], name)
            document["metadata"]["resourceVersion"] = present["metadata"]["resourceVersion"]
        status, answer = send(world.plane, document, world.namespace, name=name)
        findings = check(document, old=before[0] if before else None)
        if path.name.endswith(".pass.yaml"):
            assert status < 300, f"{path}: {answer}"
            assert findings == ()
        else:
            assert status == 422, f"{path}: {status}"
            (finding,) = findings
            assert finding.message in answer["message"], f"{path}: {answer['message']}"
        if before:
            world.kubectl("delete", document["kind"], name)


def examples() -> list[dict[str, Any]]:
    paths = [*EXAMPLES.glob("*/*.yaml"), *(p for p in CASES if p.name.endswith(".pass.yaml"))]
    return [d for path in sorted(paths) for d in documents_of(path) if d.get("kind") in load_crds()]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of everything inside a value."""
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, inner in entries:
        yield (*path, key)
        yield from places(inner, (*path, key))


WORTHLESS = (
    None,
    "",
    "x" * 300,
    -1,
    0,
    1,
    10**12,
    1.5,
    True,
    [],
    {},
    ["a", "a"],
    {"name": "x"},
    "Bad_Name",
    "1h",
    "é",
)


def mutated(document: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """The document with one thing changed in its spec."""
    changed = copy.deepcopy(document)
    *parents, last = chance.choice([path for path in places(changed) if path[0] == "spec"])
    holder: Any = changed
    for key in parents:
        holder = holder[key]
    match chance.randrange(4):
        case 0 if isinstance(holder, dict):
            del holder[last]
        case 1 if isinstance(holder, dict):
            holder[f"{last}X"] = holder[last]
        case 2 if isinstance(holder, list):
            holder.append(copy.deepcopy(holder[last]))
        case _:
            holder[last] = chance.choice(WORTHLESS)
    return changed


def test_six_hundred_mutations_are_judged_alike(world: World) -> None:
    """A manifest passes the offline checker if and only if the API server takes it; what it stores is the same, too."""
    chance, known = random.Random(20261125), examples()
    taken = 0
    for _ in range(MUTATIONS):
        document = moved(mutated(chance.choice(known), chance), world.namespace)
        status, answer = send(world.plane, document, world.namespace)
        expected, findings = complete(document)
        told = json.dumps(document.get("spec"), default=str)[:600]
        assert (status < 300) == (findings == ()), f"{status} {answer.get('message')}\n{findings}\n{told}"
        if status < 300:
            taken += 1
            assert answer["spec"] == expected["spec"], told
    assert MUTATIONS * 0.1 < taken < MUTATIONS * 0.9


def test_what_the_previous_version_took_is_taken(world: World) -> None:
    """By the server's own reading of the CRDs, too."""
    for document in documents_of(ACCEPTED):
        if document["kind"] in load_crds():
            status, answer = send(world.plane, moved(document, world.namespace), world.namespace)
            assert status < 300, (document, answer)


def test_examples_are_applied_again_without_a_difference(world: World) -> None:
    """Server-side dry-run, diff and re-apply show nothing: nobody rewrites a spec."""
    served = {*load_crds(), "Secret", "ConfigMap"}
    for folder in sorted({path.parent for path in EXAMPLES.glob("*/*.yaml")}):
        documents = [d for path in sorted(folder.glob("*.yaml")) for d in documents_of(path)]
        texts = [json.dumps(moved(d, world.namespace)) for d in documents if d.get("kind") in served]
        if not texts:
            continue
        text = "\n---\n".join(texts)
        world.kubectl("apply", "--dry-run=server", "-f", "-", text=text)
        world.kubectl("apply", "-f", "-", text=text)
        assert world.kubectl("diff", "-f", "-", text=text) == "", folder
        again = world.kubectl("apply", "-f", "-", text=text).splitlines()
        # kubectl calls a Secret with `stringData` configured each time, though nothing changes.
        told = [line for line in again if not line.startswith("secret/")]
        assert [line for line in told if not line.endswith(" unchanged")] == [], folder
        world.kubectl("delete", "-f", "-", text=text)


def embedded(case: dict[str, Any], name: str) -> str:
    """A ConfigMap with the document in a field of its own, which kubectl passes through as it reads it."""
    head = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\nvalue:\n"
    return head + textwrap.indent(case["yaml"], "  ")


def decoded(output: str) -> Iterator[Any]:
    """One JSON document after the other."""
    decoder, at = json.JSONDecoder(), 0
    while at < len(output):
        value, at = decoder.raw_decode(output, at)
        yield value
        at += len(output[at:]) - len(output[at:].lstrip())


def spelled(value: Any) -> str:
    """Tells 1 from true and from "1", but not 1e20 from 100000000000000000000, which are one JSON number."""
    if isinstance(value, dict):
        return str(sorted((key, spelled(inner)) for key, inner in value.items()))
    if isinstance(value, list):
        return str([spelled(inner) for inner in value])
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"number {float(value)!r}"
    return repr(value)


def test_kubectl_reads_scalars_as_the_table_says(world: World) -> None:
    """Whatever can stand inside another document, in one stream: value and type of each."""
    cases = [
        case
        for case in SCALARS
        if "error" not in case
        and not any(line.startswith(("---", "...", "%")) for line in case["yaml"].splitlines())
        and not set("\t\ufeff") & set(case["yaml"])
    ]
    assert len(cases) > 700
    stream = "---\n".join(embedded(case, f"c{at}") for at, case in enumerate(cases))
    output = world.kubectl(
        "create", "--dry-run=client", "--validate=false", "-o", "json", "-f", "-", text=stream
    )
    read = {item["metadata"]["name"]: item.get("value") for item in decoded(output)}
    for at, case in enumerate(cases):
        assert spelled(read[f"c{at}"]) == spelled(case["value"]), case["yaml"]


@pytest.mark.parametrize(
    "case", [c for c in SCALARS if "error" in c][::16], ids=lambda case: repr(case["yaml"])[:40]
)
def test_kubectl_refuses_what_the_table_says_it_refuses(plane: Plane, case: dict[str, Any]) -> None:
    """A sample of the errors."""
    command = ("create", "--dry-run=client", "--validate=false", "-o", "json", "-f", "-")
    with pytest.raises(AssertionError, match="YAML"):
        plane.kubectl(*command, text=embedded(case, "c"))
