"""What every CRD has to be: structural, bounded, described, small."""

from __future__ import annotations

import re
from pathlib import Path

import cel
import pytest

from tocsin.api.check import check, schema_for
from tocsin.api.common import TEMPLATE_SLOTS
from tocsin.api.crds import load_crds
from tocsin.api.loader import read_value
from tocsin.api.objects import KINDS
from tocsin.api.rules import compile_rules

CRDS = load_crds()
ROOT = Path(__file__).resolve().parents[2]
ALLOWED = {
    "additionalProperties", "default", "description", "enum", "format", "items", "maxItems", "maxLength",
    "maxProperties", "maximum", "minItems", "minLength", "minimum", "pattern", "properties", "required", "type",
    "x-kubernetes-list-map-keys", "x-kubernetes-list-type", "x-kubernetes-map-type", "x-kubernetes-validations",
}  # fmt: skip


def places(schema, path=""):
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from places(inner, f"{path}.{name}")
    if "items" in schema:
        yield from places(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from places(schema["additionalProperties"], f"{path}[*]")


PLACES = [
    pytest.param(path, schema, id=f"{crd.kind}{path}")
    for crd in CRDS.values()
    for path, schema in places(crd.schema)
    if path != ".metadata"  # the API server allows nothing but its type
]


@pytest.fixture(params=CRDS.values(), ids=lambda crd: crd.kind)
def crd(request):
    return request.param


@pytest.mark.parametrize(("path", "schema"), PLACES)
def test_place(path, schema):
    """Only what structural schemas allow and our checker knows; a description and a limit everywhere."""
    assert set(schema) <= ALLOWED
    assert len(schema["description"]) > 10
    assert schema["description"][0].isupper() or schema["description"].startswith("namespace/name")
    assert schema["description"].endswith(".")
    match schema["type"]:
        case "string":
            assert "maxLength" in schema
        case "array":
            assert "maxItems" in schema
            assert "x-kubernetes-list-type" in schema
        case "object":
            assert "properties" in schema or "maxProperties" in schema
            assert set(schema.get("required", ())) <= set(schema.get("properties", ()))
        case kind:
            assert kind in ("integer", "boolean")


@pytest.mark.parametrize(("path", "schema"), PLACES)
def test_list_keys(path, schema):
    """Entries of a keyed list must have their keys, and sets hold scalars."""
    if schema.get("x-kubernetes-list-type") == "map":
        keys = schema["x-kubernetes-list-map-keys"]
        assert set(keys) <= set(schema["items"]["required"])
    if schema.get("x-kubernetes-list-type") == "set":
        assert schema["items"]["type"] == "string"


@pytest.mark.parametrize(("path", "schema"), PLACES)
def test_patterns_mean_the_same_everywhere(path, schema):
    """Patterns use no more than what RE2 and Python read alike, and are anchored."""
    pattern = schema.get("pattern", "^$")
    assert re.fullmatch(
        r"\^[-A-Za-z0-9_.:\[\](){}?*+,|/^@!#%&'=~]*\$", re.sub(r"\\([.\[\]])", r"\1", pattern)
    )
    assert "$" not in pattern[:-1]
    assert "(?" not in pattern


@pytest.mark.parametrize(("path", "schema"), PLACES)
def test_rules(path, schema):
    """Rules compile, say what to do in a line, and use the core of CEL only; defaults keep them."""
    core = {"has", "size", "matches", "startsWith", "endsWith", "duration", "all", "exists", "@in", "in"}
    for rule in schema.get("x-kubernetes-validations", ()):
        functions = {name for name in cel.compile(rule["rule"]).functions() if name[0].isalpha()}
        assert functions <= core
        assert "\n" not in rule["rule"]
        assert "\n" not in rule["message"]
        assert rule["message"][0].islower()
    if "default" in schema and (rules := compile_rules(schema)):
        assert list(rules.broken(schema["default"])) == []


def defaults_in_lists(schema, path, *, inside=False):
    if inside and "default" in schema:
        yield path
    for name, inner in schema.get("properties", {}).items():
        yield from defaults_in_lists(inner, f"{path}.{name}", inside=inside)
    if "items" in schema:
        yield from defaults_in_lists(schema["items"], f"{path}[]", inside=True)


def test_no_defaults_inside_lists_of_a_spec(crd):
    """kubectl apply and Argo CD compare a list of a custom resource as a whole: a default in it would be a difference for ever."""
    assert list(defaults_in_lists(crd.schema["properties"]["spec"], "spec")) == []


def test_names(crd):
    """Names as kubectl users expect them, and one version that is served and stored."""
    document = read_value(crd.text)
    names, spec = document["spec"]["names"], document["spec"]
    assert document["metadata"]["name"] == f"{crd.plural}.tocsin.dev"
    assert (names["listKind"], names["singular"]) == (f"{crd.kind}List", crd.kind.lower())
    assert names["categories"] == ["tocsin"]
    assert names["shortNames"]
    assert (spec["scope"], crd.group, crd.version) == ("Namespaced", "tocsin.dev", "v1alpha1")
    (version,) = spec["versions"]
    assert version["subresources"] == {"status": {}}
    assert [c["name"] for c in version["additionalPrinterColumns"]].count("Ready") == 1


def test_flux_does_not_substitute(crd):
    """Flux leaves dollar signs in descriptions and patterns alone."""
    annotations = read_value(crd.text)["metadata"]["annotations"]
    assert annotations["kustomize.toolkit.fluxcd.io/substitute"] == "disabled"


def test_size(crd):
    """Plain kubectl apply keeps a copy in an annotation, which holds at most 256 KiB."""
    assert len(crd.text.encode()) < 256 * 1024


def test_read_alike(crd):
    """The CRDs hold nothing that PyYAML and kubectl read differently."""
    assert read_value(crd.text)["spec"]["versions"][0]["schema"]["openAPIV3Schema"] == crd.schema


def test_short_names_are_unique():
    """No two kinds answer to one name."""
    names = [name for crd in CRDS.values() for name in (*crd.short_names, crd.plural, crd.kind.lower())]
    assert len(names) == len(set(names))


def test_one_type_per_kind():
    """Each CRD has its type and the other way round."""
    assert set(CRDS) == set(KINDS)


def test_slots():
    """`templatesFrom[].slot` allows exactly the templates that there are."""
    for kind in ("Integration", "AlertTemplate"):
        spec = schema_for(kind).properties["spec"]
        slot = spec.properties["templatesFrom"].items.properties["slot"]
        assert slot.enum == TEMPLATE_SLOTS


def test_no_credentials_inline():
    """Secrets are given by reference only: no field is made to hold one."""
    held = [
        f"{crd.kind}{path}"
        for crd in CRDS.values()
        for path, schema in places(crd.schema)
        if schema["type"] == "string" and re.search(r"(?i)(token|password|secret|key)$", path)
    ]
    references = re.compile(
        r"\.(key|endpointSecret)$"
    )  # keys of labels, Secrets and ConfigMaps; a Secret's name
    assert [path for path in held if not references.search(path)] == []


def test_the_standard_library_is_not_shadowed():
    """With `operator/__init__.py` Python itself would fail to start in the checkout."""
    assert (ROOT / "operator" / "tocsin").is_dir()
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_empty_object_of_each_kind_names_what_is_missing(crd):
    """A bare manifest gets one finding for each missing part."""
    findings = check({"apiVersion": "tocsin.dev/v1alpha1", "kind": crd.kind, "metadata": {"name": "x"}})
    assert [(finding.field, finding.reason) for finding in findings] == [("spec", "Required")]
