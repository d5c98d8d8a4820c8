"""Documents, positions and refusals of the YAML loader."""

from __future__ import annotations

import pytest

from tocsin.api.common import Finding, Severity
from tocsin.api.loader import load_documents, read_value

MANIFEST = """\
# two objects
---
apiVersion: tocsin.dev/v1alpha1
kind: AlertRoute
metadata:
  name: critical
  annotations: {example.com/owner: me}
spec:
  match:
    template: |
      {{ payload.severity
         == "critical" }}
    labels:
      - key: severity
        value: critical
    regex: "a+"
--- # a comment may stand here
kind: Second
"""


def only(text):
    result = load_documents(text, "f.yaml")
    assert result.findings == ()
    (document,) = result.documents
    return document


def problem(text):
    result = load_documents(text, "f.yaml")
    assert result.documents == ()
    (finding,) = result.findings
    assert finding.file == "f.yaml"
    return finding


def test_several_documents():
    """Each document stands alone, with the line it starts in; separators may carry a comment."""
    first, second = load_documents(MANIFEST, "f.yaml").documents
    assert (first.value["kind"], first.line, first.file) == ("AlertRoute", 3, "f.yaml")
    assert (second.value, second.line) == ({"kind": "Second"}, 18)


@pytest.mark.parametrize(
    ("path", "position"),
    [
        ("", (3, 1)),
        ("spec", (8, 1)),
        ("spec.match.labels[0].value", (15, 9)),
        ("spec.match.labels[0]", (14, 9)),
        ("metadata.annotations[example.com/owner]", (7, 17)),
        ("spec.match.labels[7].value", (13, 5)),
        ("spec.missing.deep", (8, 1)),
        ("nowhere", (3, 1)),
    ],
)
def test_positions(path, position):
    """A field is found at its key, a list item at its start, a missing field at its nearest parent."""
    assert load_documents(MANIFEST).documents[0].position(path) == position


@pytest.mark.parametrize(
    ("path", "inside", "expected"),
    [
        ("spec.match.template", (2, 4), (12, 10)),
        ("spec.match.template", (1, None), (11, 7)),
        ("spec.match.regex", (1, 2), (16, 14)),
        ("spec.match", (None, None), (9, 3)),
    ],
)
def test_findings_are_located_inside_texts(path, inside, expected):
    """Line and column inside a template become line and column of the file."""
    document = load_documents(MANIFEST, "f.yaml").documents[0]
    finding = Finding(field=path, reason="X", message="m", line=inside[0], column=inside[1])
    located = document.locate(finding)
    assert (located.line, located.column, located.file) == (*expected, "f.yaml")


def test_folded_text_is_located_at_its_start():
    """Folding moves line breaks, so that only the start of the text is known."""
    document = only("spec:\n  title: >-\n    a\n    b\n")
    located = document.locate(Finding(field="spec.title", reason="X", message="m", line=1, column=3))
    assert (located.line, located.column) == (2, 10)


def test_lists_are_unwrapped():
    """The items of `kind: List` and of typed lists are documents with their own positions."""
    text = "kind: List\nitems:\n- kind: A\n  spec: {x: 1}\n- kind: B\n"
    first, second = load_documents(text).documents
    assert (first.value["kind"], first.position("spec.x"), second.line) == ("A", (4, 10), 5)


def test_empty_documents_are_skipped():
    """Comments, null and empty documents are nothing, not errors."""
    result = load_documents("# c\n---\n\n---\nnull\n---\n~\n---\n")
    assert (result.documents, result.findings) == ((), ())


def test_a_broken_document_leaves_the_others():
    """A syntax error names line and column; documents before and after it are read."""
    result = load_documents("a: 1\n---\nb: [\n---\nc: 3\n", "f.yaml")
    assert [d.value for d in result.documents] == [{"a": 1}, {"c": 3}]
    (finding,) = result.findings
    assert (finding.reason, finding.line, finding.severity) == ("SyntaxError", 4, Severity.ERROR)


@pytest.mark.parametrize(
    ("text", "line"),
    [("a: 1\nb: 2\na: 3\n", 3), ("x:\n  1: a\n  '1': b\n", 3), ("{a: 1, b: {c: 1, c: 2}}\n", 1)],
)
def test_duplicate_keys_are_refused(text, line):
    """The later one is named, with the line of the first; the document is not loaded."""
    finding = problem(text)
    assert (finding.reason, finding.line) == ("DuplicateKey", line)
    assert "first in line" in finding.message


def test_an_overriding_merge_is_a_warning():
    """What kubectl sends is loaded, with a warning where YAML itself means something else."""
    result = load_documents("x: &x {k: 1}\nw:\n  k: 2\n  <<: *x\nz:\n  <<: *x\n  k: 2\n")
    assert result.documents[0].value == {"x": {"k": 1}, "w": {"k": 1}, "z": {"k": 2}}
    (finding,) = result.findings
    assert (finding.reason, finding.severity, finding.line) == ("DuplicateKey", Severity.WARNING, 3)


def test_aliases_are_copies():
    """Changing one place of a loaded value does not change another."""
    value = only("a: &x {k: [1]}\nb: *x\n").value
    value["a"]["k"].append(2)
    assert value["b"] == {"k": [1]}


def bomb(levels):
    rows = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    rows += [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]" for i in range(1, levels)]
    return "\n".join(rows) + "\n"


def merges():
    keys = "".join(f"  k{i}: 1\n" for i in range(3000))
    return "a: &a\n" + keys + "b:\n" + "  <<: *a\n" * 100


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param(bomb(10), "TooManyAliases", id="aliases"),
        pytest.param(merges(), "TooManyAliases", id="merges"),
        pytest.param("a: " + "[" * 200 + "]" * 200 + "\n", "TooDeep", id="flow depth"),
        pytest.param('{"a":' * 200 + "1" + "}" * 200, "TooDeep", id="json depth"),
        pytest.param("a: " + "x" * (4 << 20), "TooLarge", id="size"),
        pytest.param("a: &x [*x]\n", "SyntaxError", id="self reference"),
        pytest.param("a: .inf\n", "SyntaxError", id="infinity"),
        pytest.param("a: \x01\n", "SyntaxError", id="control character"),
        pytest.param("a: \ud800\n", "SyntaxError", id="lone surrogate"),
        pytest.param("--- {a: 1}\n", "SyntaxError", id="text after separator"),
        pytest.param("a: 1\n...\nb: 2\n", "SyntaxError", id="document after its end"),
        pytest.param("- a\n", "NotAnObject", id="list"),
        pytest.param("text\n", "NotAnObject", id="text"),
        pytest.param("kind: List\nitems: [1]\n", "NotAnObject", id="item"),
    ],
)
def test_refusals(text, reason):
    """What cannot be loaded is one finding with a place, never an exception."""
    finding = problem(text)
    assert finding.reason == reason
    assert finding.message


def test_json_streams():
    """A stream of JSON objects is read as kubectl reads it, with JSON's own escapes."""
    result = load_documents('{"a": "\\ud83d\\ude00\\/"}\n{"b": 1e2}\n')
    assert [d.value for d in result.documents] == [{"a": "😀/"}, {"b": 100}]
    assert [d.line for d in result.documents] == [1, 2]


def test_windows_line_ends_and_bom():
    """Files written on Windows load with the same values and lines."""
    first, second = load_documents("\ufeffa: 1\r\n---\r\nb: |\r\n  x\r\n").documents
    assert (first.value, second.value, second.line) == ({"a": 1}, {"b": "x\n"}, 3)


def test_read_value_takes_anything():
    """A single value need not be an object."""
    assert read_value("[22:00, 012, y]") == ["22:00", 10, True]
