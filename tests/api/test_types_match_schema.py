"""The types and the CRDs say the same: one accepts what the other accepts, and their defaults are equal.

jsonschema serves as a third, independent reading of the CRDs.
"""

from __future__ import annotations

import copy
import json

import jsonschema
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tocsin.api.check import check, complete
from tocsin.api.crds import load_crds
from tocsin.api.objects import KINDS
from tocsin.api.schema import Report, compile_schema

CRDS = load_crds()
FORMAL = ("x-kubernetes-validations", "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "default")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2_000_000),
    st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: not x.is_integer()),
    st.sampled_from(["", "a\n", "x" * 300, "0s", "Same", "HMAC", "é", "=", "A", "-"]),
    st.sampled_from([[], {}, [None], ["a"], {"a": 1}, {"name": "a"}, [{"key": "a", "value": "b"}] * 70]),
)
PROPERTY = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def structure(schema, *, closed=False):
    """The schema without rules, uniqueness and defaults; `closed` spells out that unknown fields are refused."""
    if isinstance(schema, list):
        return [structure(inner, closed=closed) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: structure(inner, closed=closed) for key, inner in schema.items() if key not in FORMAL}
    if isinstance(
        fields := schema.get("properties"), dict
    ):  # whose names may be words of the schema, as `default`
        plain["properties"] = {name: structure(inner, closed=closed) for name, inner in fields.items()}
    if closed and isinstance(plain.get("properties"), dict) and isinstance(plain.get("type"), str):
        plain["additionalProperties"] = False
    return plain


def values(schema):
    """Values that a schema accepts."""
    match schema["type"]:
        case "object" if "additionalProperties" in schema:
            return st.dictionaries(TEXT, values(schema["additionalProperties"]), max_size=2)
        case "object":
            required = set(schema.get("required", ()))
            inner = {name: values(place) for name, place in schema.get("properties", {}).items()}
            return st.fixed_dictionaries(
                {name: inner[name] for name in inner if name in required},
                optional={name: inner[name] for name in inner if name not in required},
            )
        case "array":
            least = schema.get("minItems", 0)
            return st.lists(values(schema["items"]), min_size=least, max_size=max(least, 2))
        case "string":
            return texts(schema)
        case "boolean":
            return st.booleans()
        case _:
            return st.integers(schema.get("minimum", 0), schema.get("maximum", 100))


def texts(schema):
    least, most = schema.get("minLength", 0), schema["maxLength"]
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "pattern" in schema:
        found = st.from_regex(schema["pattern"], fullmatch=True, alphabet=st.characters(codec="ascii"))
        return found.filter(lambda text: least <= len(text) <= most and not text.endswith("\n"))
    return st.text(st.characters(exclude_categories=["Cs"]), min_size=least, max_size=min(most, least + 8))


def manifests(kind):
    spec = CRDS[kind].schema["properties"]["spec"]
    head = {"apiVersion": "tocsin.dev/v1alpha1", "kind": kind, "metadata": {"name": "x", "namespace": "y"}}
    return values(spec).map(lambda value: {**copy.deepcopy(head), "spec": value})


def places(value, path=()):
    yield path
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, inner in entries:
        yield from places(inner, (*path, key))


@st.composite
def mutants(draw, kind):
    """A good manifest with one place removed, replaced, or given an unknown neighbour."""
    document = copy.deepcopy(draw(manifests(kind)))
    path = draw(st.sampled_from([p for p in places(document) if p and p[0] == "spec"]))
    parent = document
    for key in path[:-1]:
        parent = parent[key]
    match draw(st.sampled_from(["remove", "replace", "replace", "neighbour"])):
        case "remove":
            del parent[path[-1]]
        case "replace":
            parent[path[-1]] = copy.deepcopy(draw(JUNK))
        case _ if isinstance(parent, dict) and len(path) > 1:  # types do not look beside `spec`
            parent[draw(st.sampled_from(["nmae", "values", "mode", "x"]))] = copy.deepcopy(draw(JUNK))
    return document


def without_nulls(value):
    """The API server drops nulls before it validates."""
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [without_nulls(inner) for inner in value] if isinstance(value, list) else value


STRUCTURES = {kind: compile_schema(structure(crd.schema)) for kind, crd in CRDS.items()}
ORACLES = {
    kind: jsonschema.Draft202012Validator(structure(crd.schema, closed=True)) for kind, crd in CRDS.items()
}


def verdicts(document):
    """Whether the type, our schema and jsonschema take the structure of a manifest."""
    kind = document["kind"]
    report = Report()
    STRUCTURES[kind].complete(document, report)
    try:
        msgspec.convert(document, KINDS[kind])
    except msgspec.ValidationError:
        typed = False
    else:
        typed = True
    return typed, not report.findings, ORACLES[kind].is_valid(document)


@pytest.mark.parametrize("kind", CRDS)
def test_good_manifests(kind):
    """What the schema describes is taken by all three."""

    @PROPERTY
    @given(manifests(kind))
    def run(document):
        assert verdicts(document) == (True, True, True)

    run()


@pytest.mark.parametrize("kind", CRDS)
def test_bad_manifests(kind):
    """A manifest with a mistake is taken by all three or by none."""

    @PROPERTY
    @given(mutants(kind))
    def run(document):
        assert len(set(verdicts(without_nulls(document)))) == 1

    run()


@pytest.mark.parametrize("kind", CRDS)
def test_defaults(kind):
    """The type's defaults are the schema's: reading a manifest and reading what is stored gives one object."""

    @PROPERTY
    @given(manifests(kind))
    def run(document):
        before = json.dumps(document)
        stored, _ = complete(document)
        assert json.dumps(document) == before
        assert msgspec.convert(stored, KINDS[kind]) == msgspec.convert(document, KINDS[kind])
        assert complete(stored)[0] == stored

    run()


@PROPERTY
@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), TEXT),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
        max_leaves=6,
    ),
    st.sampled_from([*CRDS, "Nothing", None]),
)
def test_anything_is_checked(value, kind):
    """Whatever is in a manifest, the answer is findings, never an exception."""
    document = {"apiVersion": "tocsin.dev/v1alpha1", "kind": kind, "metadata": value, "spec": value}
    assert check(document)
    assert check({"metadata": {"name": value, "labels": value, "annotations": value}, "kind": value})
