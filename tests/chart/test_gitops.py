"""Argo CD's Lua and Flux' CEL on statuses that the operator's own code makes."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import cel
import msgspec
import pytest
import yaml
from charting import ROOT
from compiler_cases import NOW, compile_text

from tocsin.control.kubernetes.desired import desired_status
from tocsin.flow.status import NO_RECEIVERS, PENDING, PROGRAMMED, Circumstances, Programming

EXAMPLES = ROOT / "examples"
GOLDENS = sorted((ROOT / "tests" / "compiler" / "golden").glob("*.in.yaml"))
GENERATION = 4

Object = dict[str, Any]


@cache
def objects(programming: Programming) -> tuple[Object, ...]:
    """Every object of the compiler's cases, good and bad, with the status that is written while receivers are like this."""
    found = []
    for path in GOLDENS:
        text = path.read_text(encoding="utf-8")
        compiled = compile_text(text)
        specs = {
            (d["kind"], d["metadata"].get("namespace", "default"), d["metadata"]["name"]): d.get("spec", {})
            for d in yaml.safe_load_all(text)
            if d
        }
        for identity, report in compiled.reports.items():
            circumstances = Circumstances(
                now=NOW,
                generation=GENERATION,
                programming=programming,
                fragment=compiled.flow.fragment(identity),
            )
            found.append(
                {
                    "apiVersion": "tocsin.dev/v1alpha1",
                    "kind": identity.kind,
                    "metadata": {
                        "namespace": identity.namespace,
                        "name": identity.name,
                        "generation": GENERATION,
                    },
                    "spec": msgspec.to_builtins(specs[identity.kind, identity.namespace, identity.name]),
                    "status": dict(desired_status(report, circumstances, {})),
                }
            )
    return tuple(found)


def changed(one: Object) -> Object:
    """The same after somebody changed it, before the operator has looked."""
    return {**one, "metadata": {**one["metadata"], "generation": GENERATION + 1}}


def unseen(one: Object) -> Object:
    return {key: value for key, value in one.items() if key != "status"}


def ready(one: Object) -> Mapping[str, Any]:
    return next(c for c in one["status"]["conditions"] if c["type"] == "Ready")


def as_lua(value: object) -> str:
    match value:
        case dict():
            return "{" + ",".join(f"[{json.dumps(k)}]={as_lua(v)}" for k, v in value.items()) + "}"
        case list() | tuple():
            return "{" + ",".join(map(as_lua, value)) + "}"
        case bool():
            return str(value).lower()
        case None:
            return "nil"
        case str():
            return '"' + "".join(f"\\{byte:03d}" for byte in value.encode()) + '"'
        case _:
            return str(value)


def argo_health(found: tuple[Object, ...], tmp_path: Path) -> list[tuple[str, str]]:
    """(status, message) for each object, by a Lua interpreter."""
    lua = shutil.which("lua5.4") or shutil.which("lua")
    if lua is None:
        pytest.fail("a Lua interpreter is needed: apt-get install lua5.4 (.ci/services does)", pytrace=False)
    check = json.dumps(str(EXAMPLES / "argocd" / "health.lua"))
    calls = "\n".join(f"say(check({as_lua(one)}))" for one in found)
    program = tmp_path / "run.lua"
    program.write_text(
        f"""
local function check(object) return assert(loadfile({check}, "t", {{obj = object, ipairs = ipairs}}))() end
local function say(health) print(health.status .. "\\t" .. health.message:gsub("\\n", " ")) end
{calls}
"""
    )
    done = subprocess.run([lua, str(program)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    lines = [line.split("\t", 1) for line in done.stdout.splitlines()]
    assert len(lines) == len(found)
    return [(status, message) for status, message in lines]


def flux_expressions() -> dict[str, dict[str, cel.Program]]:
    (flow,) = [
        document
        for document in yaml.safe_load_all((EXAMPLES / "flux" / "flow.yaml").read_text(encoding="utf-8"))
        if document["kind"] == "Kustomization" and document["metadata"]["name"] == "alert-flow"
    ]
    return {
        entry["kind"]: {name: cel.compile(entry[name]) for name in ("current", "failed")}
        for entry in flow["spec"]["healthCheckExprs"]
    }


def flux_health(one: Object, expressions: Mapping[str, cel.Program]) -> str:
    """As the kustomize-controller asks: failed, then current; what cannot be evaluated is waited for."""
    context = cel.Context(variables=one)

    def holds(name: str) -> bool:
        try:
            return bool(expressions[name].execute(context))
        except Exception:  # noqa: BLE001 -- whatever it is, Flux waits
            return False

    return "Failed" if holds("failed") else "Current" if holds("current") else "InProgress"


def kstatus(one: Object) -> str:
    """What kstatus says of a kind that it does not know: generation first, then Ready."""
    status = one.get("status")
    if status is None:
        return "Current"  # the reason why a status is written at once
    if status.get("observedGeneration", 0) != one["metadata"]["generation"]:
        return "InProgress"
    return "Current" if ready(one)["status"] == "True" else "InProgress"


def test_argo_sees_what_the_objects_say(tmp_path: Path) -> None:
    """Ready is Healthy (or Suspended), a mistake is Degraded with the sentence of the condition."""
    found = objects(PROGRAMMED)
    states = argo_health(found, tmp_path)
    assert {state for state, _ in states} == {"Healthy", "Degraded", "Suspended"}
    for one, (state, message) in zip(found, states, strict=True):
        condition = ready(one)
        good = "Suspended" if one["spec"].get("suspend") else "Healthy"
        assert state == (good if condition["status"] == "True" else "Degraded"), one
        assert message == condition["message"].replace("\n", " ")


@pytest.mark.parametrize("programming", [PENDING, NO_RECEIVERS], ids=["pending", "no-receivers"])
def test_argo_waits_for_the_receivers(programming: Programming, tmp_path: Path) -> None:
    """Nothing is Healthy before receivers have loaded it; what is wrong is Degraded all the same."""
    found = objects(programming)
    for one, (state, _) in zip(found, argo_health(found, tmp_path), strict=True):
        waits = ready(one)["reason"] in {"Pending", "NoReceivers"}
        assert state == ("Progressing" if waits else "Degraded")


def test_argo_waits_for_the_operator(tmp_path: Path) -> None:
    """A status about an older generation, or none at all, says nothing."""
    for old in (changed, unseen):
        states = argo_health(tuple(old(one) for one in objects(PROGRAMMED)), tmp_path)
        assert {state for state, _ in states} == {"Progressing"}


def test_the_config_map_for_argo_holds_the_lua_file() -> None:
    """For all kinds of the group, the same text."""
    config = yaml.safe_load((EXAMPLES / "argocd" / "argocd-cm.yaml").read_text(encoding="utf-8"))
    customizations = yaml.safe_load(config["data"]["resource.customizations"])
    lua = (EXAMPLES / "argocd" / "health.lua").read_text(encoding="utf-8")
    assert customizations == {"tocsin.dev/*": {"health.lua": lua}}


def test_flux_sees_what_the_objects_say() -> None:
    """Current and Failed as soon as that is certain, for every kind."""
    expressions = flux_expressions()
    kinds = {
        yaml.safe_load(p.read_text(encoding="utf-8"))["spec"]["names"]["kind"]
        for p in (ROOT / "crds").glob("*.yaml")
    }
    assert expressions.keys() == kinds
    for programming in (PROGRAMMED, PENDING, NO_RECEIVERS):
        for one in objects(programming):
            condition = ready(one)
            if condition["status"] == "True":
                wanted = "Current"
            else:
                wanted = "InProgress" if condition["reason"] in {"Pending", "NoReceivers"} else "Failed"
            assert flux_health(one, expressions[one["kind"]]) == wanted
            assert flux_health(changed(one), expressions[one["kind"]]) == "InProgress"
            assert flux_health(unseen(one), expressions[one["kind"]]) == "InProgress"


def test_kstatus_needs_no_expressions() -> None:
    """`wait: true` alone is right, too: nothing is Current before it is Ready for this generation."""
    for programming in (PROGRAMMED, PENDING):
        for one in objects(programming):
            assert (kstatus(one) == "Current") == (ready(one)["status"] == "True")
            assert kstatus(changed(one)) == "InProgress"


def test_examples_of_gitops_tools_are_yaml_of_their_kinds() -> None:
    """Every document is complete, waves and dependencies name each other."""
    found = [
        document
        for tool in ("argocd", "flux")
        for path in sorted((EXAMPLES / tool).glob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    ]
    names = {(document["kind"], document["metadata"]["name"]) for document in found}
    for document in found:
        for needed in document.get("spec", {}).get("dependsOn", []):
            assert (document["kind"], needed["name"]) in names
    waves = {
        document["metadata"]["name"]: int(document["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"])
        for document in found
        if document["kind"] == "Application"
    }
    assert waves["tocsin"] < waves["alert-flow"]


def test_every_folder_of_examples_is_tested() -> None:
    """Either it has payloads with what becomes of them, or it is one of those tested here or beside (helm)."""
    assert {
        folder.name for folder in EXAMPLES.iterdir() if folder.is_dir() and not (folder / "payloads").is_dir()
    } == {
        "argocd",
        "flux",
        "helm",
    }
