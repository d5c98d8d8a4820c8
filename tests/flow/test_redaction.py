"""What spec.redact names is masked wherever people or databases could see it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec
import pytest
from flows import NOW, program, route, rule, window
from hypothesis import given
from hypothesis import strategies as st

from tocsin.flow.redaction import REDACTED, InvalidPath, Mask, Redactor, parse_path

SECRET = "hunter2-and-more"


@pytest.mark.parametrize(
    ("path", "payload", "masked"),
    [
        (
            "payload.user.password",
            {"user": {"password": "x", "name": "n"}},
            {"user": {"password": REDACTED, "name": "n"}},
        ),
        ("$.user.password", {"user": {"password": "x"}}, {"user": {"password": REDACTED}}),
        ("user.password", {"user": {"password": "x"}}, {"user": {"password": REDACTED}}),
        ("user", {"user": {"password": "x"}}, {"user": REDACTED}),
        (
            "alerts[*].labels.secret",
            {"alerts": [{"labels": {"secret": 1}}, {}]},
            {"alerts": [{"labels": {"secret": REDACTED}}, {}]},
        ),
        ("alerts[1]", {"alerts": ["a", "b", "c"]}, {"alerts": ["a", REDACTED, "c"]}),
        ("alerts[9]", {"alerts": ["a"]}, {"alerts": ["a"]}),
        ("alerts.*.x", {"alerts": [{"x": 1}]}, {"alerts": [{"x": REDACTED}]}),
        ("users[*]", {"users": {"a": 1, "b": 2}}, {"users": {"a": REDACTED, "b": REDACTED}}),
        ("*", {"a": 1, "b": []}, {"a": REDACTED, "b": REDACTED}),
        ('headers["x-api.key"]', {"headers": {"x-api.key": "k"}}, {"headers": {"x-api.key": REDACTED}}),
        ("headers['*']", {"headers": {"*": 1, "a": 2}}, {"headers": {"*": REDACTED, "a": 2}}),
        ("$.payload.x", {"payload": {"x": 1}, "x": 2}, {"payload": {"x": REDACTED}, "x": 2}),
        (
            "**.password",
            {"password": 1, "a": [{"password": {"b": 1}}]},
            {"password": REDACTED, "a": [{"password": REDACTED}]},
        ),
        ("payload.**.p", {"p": 1, "a": {"p": 2}}, {"p": REDACTED, "a": {"p": REDACTED}}),
        ("**.a.b", {"a": {"a": {"b": 1}, "b": 2}}, {"a": {"a": {"b": REDACTED}, "b": REDACTED}}),
        ("a.b.c", {"a": "text"}, {"a": "text"}),
        ("a[0]", {"a": "text"}, {"a": "text"}),
        ("a.b", {"a": [1]}, {"a": [1]}),
    ],
)
def test_the_grammar_of_paths(path: str, payload: Any, masked: Any) -> None:
    """Keys, quoted keys, positions, all elements, any depth; what is not there is no mistake."""
    before = json.dumps(payload)
    assert Redactor((path,)).redact(payload) == masked
    assert json.dumps(payload) == before


@pytest.mark.parametrize(
    "path",
    [
        "",
        "payload",
        "$",
        "**",
        "payload.",
        "a..b",
        ".a",
        "a.**",
        "payload.**",
        "**.**.a",
        "a[",
        "a[x]",
        "a[-1]",
        'a["b]',
        "a b",
        "a[0]b",
        "a]",
    ],
)
def test_what_is_no_path(path: str) -> None:
    """The message says where it goes wrong."""
    with pytest.raises(InvalidPath):
        parse_path(path)


def test_a_path_that_cannot_be_read_hides_everything() -> None:
    """Better no payload than a stored secret."""
    linked = program(redact=("user..password", "other"), templates={"groupingId": "{{ payload.id }}"})
    assert linked.evaluator.redactor.problems
    payload = {"id": "incident-1", "user": {"password": SECRET}}
    assert linked.redact(payload) == {"id": REDACTED, "user": REDACTED}
    decision = linked.evaluate(payload, NOW)
    assert decision.grouping_id == REDACTED
    assert decision.grouping_key == hashlib.sha256(b"incident-1").digest()


def everything(**more: Any):
    """An integration whose every template prints the secret, or fails with it."""
    return program(
        route("by-error", "{{ payload.auth.token + 1 }}"),
        route("by-value", "{{ payload.auth.token }}"),
        route("by-label", labels=("leak=nothing",)),
        route("right", f'{{{{ payload.auth.token == "{SECRET}" and labels.leak == "{SECRET}" }}}}'),
        rule(
            "l",
            dynamic={
                "leak": "{{ payload.auth.token }}",
                "part": "user:{{ payload.auth.token }}@x",
                "ok": "fine",
            },
            extract='{"x{{ payload.auth.token }}": "by key", "inner": {{ payload.auth.token | tojson }}, "list {{ payload.auth.token }}": []}',
        ),
        window("w", matchers=()),
        templates={
            "groupingId": "id {{ payload.auth.token }}",
            "acknowledge": "{{ payload.auth.token / 2 }}",
            "resolve": "{{ payload.auth.token }}",
            "sourceLink": "https://x/?token={{ payload.auth.token }}",
            "appearance.web.title": "Token {{ payload.auth.token }} {{ labels.leak }}",
        },
        redact=("payload.auth.token",),
        **more,
    )


def test_nothing_that_is_shown_or_stored_holds_the_secret() -> None:
    """Title, link, labels, grouping text, errors, notes, trace; routing and the key still work with the value."""
    payload = {"auth": {"token": SECRET}, "other": "kept"}
    linked = everything()
    decision = linked.evaluate(payload, NOW)
    assert decision.route == "ns/right"
    assert decision.grouping_key == hashlib.sha256(f"id {SECRET}".encode()).digest()
    assert decision.title == f"Token {REDACTED} {REDACTED}"
    assert decision.source_link == f"https://x/?token={REDACTED}"
    assert decision.labels == {
        "leak": REDACTED,
        "part": f"user:{REDACTED}@x",
        "ok": "fine",
        "inner": REDACTED,
    }
    assert ("redacted", f"x{REDACTED}") in {(drop.reason, drop.key) for drop in decision.outcome.dropped}
    assert SECRET not in repr(decision)
    trace = linked.explain(payload, NOW)
    assert trace.outcome == decision.outcome
    assert SECRET[:8] not in msgspec.json.encode(trace).decode()
    assert linked.redact(payload) == {"auth": {"token": REDACTED}, "other": "kept"}


@pytest.mark.parametrize(
    "secret",
    [
        'quote"d\\secret',
        "tab\there <tag> & 'x'",
        "Grüße-geheim",
        "both ' and \"",
        "line\nbreak\nsecret",
        "\u2028sep",
    ],
)
@pytest.mark.parametrize(
    "printed", ["{{ payload | tojson }}", "{{ payload }}", "{{ payload.token | e }}", "{{ [payload.token] }}"]
)
def test_other_spellings_of_a_value_are_masked(secret: str, printed: str) -> None:
    """As JSON, as Python, as HTML."""
    linked = program(templates={"groupingId": printed}, redact=("token",))
    shown = linked.evaluate({"token": secret}, NOW).grouping_id
    assert REDACTED in shown
    longest = max(secret.replace("\n", " ").split(), key=len)
    assert longest not in shown


def test_numbers_and_whole_objects() -> None:
    """Every leaf of a masked object counts; three characters are too common to hide elsewhere."""
    linked = program(
        rule("l", dynamic={"n": "{{ payload.o.n }}", "s": "{{ payload.o.s }}", "short": "{{ payload.o.c }}"}),
        redact=("o",),
    )
    labels = linked.evaluate({"o": {"n": 123456, "s": ["deep-secret"], "c": "abc"}}, NOW).labels
    assert labels == {"n": REDACTED, "s": f"['{REDACTED}']", "short": "abc"}


def test_a_message_cut_through_a_secret() -> None:
    """Its beginning at the end of a cut message is hidden, too."""
    mask = Mask((SECRET,))
    message = "x" * 190 + SECRET[:9] + "…"
    assert SECRET[:5] not in mask.message(message)


def test_without_paths_nothing_is_copied() -> None:
    """The common case costs nothing."""
    payload = {"a": {"b": 1}}
    assert program().redact(payload) is payload


def test_a_very_deep_payload() -> None:
    """Never an error; what cannot be walked is masked as a whole."""
    deep: Any = SECRET
    for _ in range(5000):
        deep = {"a": deep}
    assert SECRET not in str(Redactor(("**.password",)).redact({"x": deep})["x"])[:100]
    assert Redactor(("**.a",)).mask({"x": deep}).hides(f"the {SECRET}")


@given(
    st.recursive(
        st.text(min_size=4, alphabet="abcdef\"'\\<é\n", max_size=12) | st.integers(1000, 10**20),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["p", "q"]), inner, max_size=2)
        ),
        max_leaves=6,
    )
)
def test_no_masked_leaf_survives_in_any_rendering(secret: Any) -> None:
    """Printed plainly, as JSON, or joined with other text."""
    linked = program(
        rule("l", dynamic={"a": "<{{ payload.s }}>"}),
        templates={"groupingId": "{{ payload | tojson }}!"},
        redact=("s",),
    )
    decision = linked.evaluate({"s": secret}, NOW)

    def leaves(value: Any):
        if isinstance(value, dict | list):
            for child in value.values() if isinstance(value, dict) else value:
                yield from leaves(child)
        else:
            yield str(value)

    shown = [decision.grouping_id, *decision.labels.values()]
    assert not [leaf for leaf in leaves(secret) for text in shown if leaf in text.replace(REDACTED, "")]
