"""AdmissionReview in and out: read strictly, answered within bounds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tocsin.control.kubernetes.admission import review
from tocsin.control.kubernetes.admission.review import Malformed, Ruling


def body(**changes: Any) -> dict[str, Any]:
    """What the API server sends; None removes a member of the request."""
    request = {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "kind": {"group": "tocsin.dev", "version": "v1alpha1", "kind": "Integration"},
        "resource": {"group": "tocsin.dev", "version": "v1alpha1", "resource": "integrations"},
        "operation": "CREATE",
        "userInfo": {"username": "admin", "groups": ["a"]},
        "object": {"metadata": {"name": "x"}},
        "oldObject": None,
        "dryRun": False,
        **changes,
    }
    request = {key: value for key, value in request.items() if value is not None or key == "oldObject"}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


def answered(ruling: Ruling) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(review.answer(review.read(json.dumps(body()).encode()), ruling))
    assert (found["apiVersion"], found["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    assert found["response"]["uid"] == body()["request"]["uid"]
    response: dict[str, Any] = found["response"]
    return response


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        json.dumps({**body(), "apiVersion": "admission.k8s.io/v1beta1"}).encode(),
        json.dumps({**body(), "kind": "Pod"}).encode(),
        json.dumps({**body(), "request": None}).encode(),
        *(
            json.dumps(body(**changes)).encode()
            for changes in (
                {"uid": None},
                {"uid": ""},
                {"uid": "u" * 200},
                {"uid": 5},
                {"kind": None},
                {"kind": "Integration"},
                {"operation": None},
                {"object": None},
                {"object": "secret-content"},
                {"oldObject": [1]},
            )
        ),
    ],
)
def test_what_is_no_review_is_malformed(sent: bytes) -> None:
    """And nothing of it is repeated."""
    with pytest.raises(Malformed) as raised:
        review.read(sent)
    assert "secret-content" not in str(raised.value)


def test_deletions_have_no_object() -> None:
    sent = body(operation="DELETE", object=None, oldObject={"metadata": {}})
    question = review.read(json.dumps(sent).encode())
    assert not question.changes_a_spec


def test_yes_no_and_but() -> None:
    """A refusal is a Status that kubectl shows as invalid; warnings come with either."""
    assert answered(Ruling()).keys() == {"uid", "allowed"}
    warned = answered(Ruling(warnings=("careful",)))
    assert (warned["allowed"], warned["warnings"]) == (True, ["careful"])
    denied = answered(Ruling(problems=("spec.a: bad", "spec.b: worse"), warnings=("careful",)))
    assert (denied["allowed"], denied["warnings"]) == (False, ["careful"])
    assert denied["status"] == {"code": 422, "reason": "Invalid", "message": "spec.a: bad; spec.b: worse"}


def test_answers_are_bounded() -> None:
    """The API server drops warnings that are together longer than 4,096 characters; control characters break its header."""
    many = tuple(f"{number}\n\x00{'x' * 5000}" for number in range(500))
    found = answered(Ruling(problems=many, warnings=many))
    assert len(found["warnings"]) == 10
    assert all(len(warning) <= 250 and warning.isprintable() for warning in found["warnings"])
    assert sum(map(len, found["warnings"])) < 4096
    assert found["warnings"][-1] == "and 491 more"
    assert len(found["status"]["message"]) < 25_000
    assert answered(Ruling(warnings=("same", "same")))["warnings"] == ["same"]
