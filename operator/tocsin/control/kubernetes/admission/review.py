"""The exchange with the API server: `AdmissionReview` of admission.k8s.io/v1, in and out. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from tocsin.api.common import API_GROUP

API = "admission.k8s.io/v1"
KIND = "AdmissionReview"

MOST_WARNINGS = 10
LONGEST_WARNING = 250
"""The API server cuts single warnings at 256 characters, and drops those beyond 4,096 together."""
MOST_PROBLEMS = 20
LONGEST_PROBLEM = 1000

_INVALID = 422
_CONTROLS = dict.fromkeys((*range(32), 127), " ")


class Malformed(Exception):
    """What came is no review that could be answered; the message never repeats what was sent."""


class GroupVersionKind(msgspec.Struct, frozen=True):
    group: str = ""
    version: str = ""
    kind: str = ""


class Question(msgspec.Struct, frozen=True, rename="camel"):
    """One request of the API server. `object` is None for DELETE, `old_object` for CREATE."""

    uid: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    kind: GroupVersionKind
    operation: str
    sub_resource: str = ""
    object: dict[str, Any] | None = None
    old_object: dict[str, Any] | None = None

    @property
    def changes_a_spec(self) -> bool:
        """Whether there is anything to check: all else is let through unread."""
        return (
            self.operation in {"CREATE", "UPDATE"}
            and not self.sub_resource
            and self.kind.group == API_GROUP
            and self.object is not None
            and not self._leaves
        )

    @property
    def _leaves(self) -> bool:
        """Whether the object is being deleted: nothing may stand in the way of that."""
        metadata = None if self.object is None else self.object.get("metadata")
        return isinstance(metadata, Mapping) and bool(metadata.get("deletionTimestamp"))


class _Review(msgspec.Struct, frozen=True, rename="camel"):
    api_version: str
    kind: str
    request: Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """`problems` keep the object out; it is let in if there are none. `warnings` are shown to whoever applies it."""

    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def outcome(self) -> str:
        """As the metric names it."""
        if self.problems:
            return "denied"
        return "warned" if self.warnings else "allowed"


_DECODER = msgspec.json.Decoder(_Review)


def read(body: bytes) -> Question:
    """Raises Malformed."""
    try:
        review = _DECODER.decode(body)
    except msgspec.ValidationError as error:
        raise Malformed(f"this is no {KIND}: {error}") from None
    except (msgspec.DecodeError, RecursionError, ValueError):
        raise Malformed("the body is no JSON") from None
    if (review.api_version, review.kind) != (API, KIND):
        raise Malformed(f"expected an {KIND} of {API}")
    question = review.request
    if question.operation in {"CREATE", "UPDATE"} and question.object is None:
        raise Malformed(f"{question.operation} needs request.object")
    return question


def answer(question: Question, ruling: Ruling) -> bytes:
    """The body of the answer, bounded however much there is to say."""
    response: dict[str, Any] = {"uid": question.uid, "allowed": not ruling.problems}
    if ruling.problems:
        said = bounded(ruling.problems, MOST_PROBLEMS, LONGEST_PROBLEM)
        response["status"] = {"code": _INVALID, "reason": "Invalid", "message": "; ".join(said)}
    if ruling.warnings:
        response["warnings"] = bounded(ruling.warnings, MOST_WARNINGS, LONGEST_WARNING)
    return msgspec.json.encode({"apiVersion": API, "kind": KIND, "response": response})


def bounded(texts: Iterable[str], most: int, longest: int) -> list[str]:
    """The first texts, each cut, on one line each; the last one tells how many are left out."""
    given = [text.translate(_CONTROLS) for text in dict.fromkeys(texts)]
    kept = [text if len(text) <= longest else f"{text[: longest - 3]}..." for text in given[:most]]
    left_out = len(given) - most
    if left_out > 0:
        kept[-1] = f"and {left_out + 1} more"
    return kept
