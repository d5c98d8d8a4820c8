"""The one check of a manifest, used by the operator, the admission webhook, the folder and the command line.

It runs the CRD's own schema and CEL rules, offline, so that nothing passes in CI that the API server refuses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec

from tocsin.api import messages
from tocsin.api.common import API_GROUP, API_VERSION, Finding, Status
from tocsin.api.conditions import Problem
from tocsin.api.crds import load_crds
from tocsin.api.rules import ABSENT
from tocsin.api.schema import Report, Schema, compile_schema

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_ANNOTATIONS_MAX = 256 * 1024
_METADATA = (
    "name",
    "namespace",
    "labels",
    "annotations",
    "generateName",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "ownerReferences",
    "finalizers",
    "managedFields",
)


def belongs(document: Mapping[str, Any]) -> bool:
    """Whether a manifest is meant for Tocsin, by its API group or, if that is misspelt, by its kind."""
    version, kind = document.get("apiVersion"), document.get("kind")
    group = version.partition("/")[0] if isinstance(version, str) else ""
    return group == API_GROUP or (isinstance(kind, str) and kind in load_crds())


def check(document: Mapping[str, Any], *, old: Mapping[str, Any] | None = None) -> tuple[Finding, ...]:
    """What the API server would refuse, and why; () if it would take the object.

    `old` is the object that this one replaces: rules about changes run only with it. `status` is not looked at,
    as in the API server. Never raises on any JSON value.
    """
    return complete(document, old=old)[1]


def complete(
    document: Mapping[str, Any], *, old: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], tuple[Finding, ...]]:
    """The object as it would be stored, with the schema's defaults, and the findings of `check`."""
    report = Report()
    schema = _schema_of(document, report)
    given = {name: value for name, value in document.items() if name != "status"}
    if schema is None:
        return given, tuple(report.findings)
    if isinstance(metadata := given.get("metadata"), dict):
        given["metadata"] = {name: entry for name, entry in metadata.items() if entry is not None}
    _check_metadata(given.get("metadata"), report)
    value = schema.complete(given, report, (), ABSENT if old is None else dict(old))
    return value, tuple(report.findings)


def check_status(kind: str, status: Mapping[str, Any] | Status) -> tuple[Finding, ...]:
    """What the API server would refuse about a status that Tocsin writes."""
    report = Report()
    written = msgspec.json.decode(msgspec.json.encode(status))
    schema_for(kind).properties["status"].complete(written, report, ("status",))
    return tuple(report.findings)


@cache
def schema_for(kind: str) -> Schema:
    """The compiled schema of a kind, made once. Raises KeyError for an unknown kind."""
    return compile_schema(load_crds()[kind].schema)


def _schema_of(document: Mapping[str, Any], report: Report) -> Schema | None:
    kinds = load_crds()
    version, kind = document.get("apiVersion"), document.get("kind")
    if version != API_VERSION:
        found = f"`{messages.cut(version)}`" if isinstance(version, str) else "missing"
        report.add(("apiVersion",), Problem.UNKNOWN_VERSION, f"is {found}; write `{API_VERSION}`")
    if isinstance(kind, str) and kind in kinds:
        return schema_for(kind)
    if isinstance(kind, str):
        listed = ", ".join(kinds)
        hint = messages.suggestion(kind, kinds) or f"; Tocsin has {listed}"
        report.add(("kind",), Problem.UNKNOWN_KIND, f"`{messages.cut(kind)}` is no kind of Tocsin{hint}")
    else:
        report.add(("kind",), Problem.REQUIRED, f"is required: one of {', '.join(kinds)}")
    return None


def _check_metadata(metadata: Any, report: Report) -> None:
    if metadata is None:
        report.add(("metadata",), Problem.REQUIRED, "is required: write at least metadata.name")
        return
    if not isinstance(metadata, dict):
        return  # the schema says so
    for key in metadata:
        if key not in _METADATA:
            report.add(("metadata", key), Problem.UNKNOWN_FIELD, messages.unknown_field(key, _METADATA[:4]))
    _check_name(("metadata", "name"), metadata.get("name"), report)
    if "namespace" in metadata:
        _check_name(("metadata", "namespace"), metadata["namespace"], report)
    _check_labels(metadata.get("labels"), report)
    _check_annotations(metadata.get("annotations"), report)


def _check_name(path: tuple[str, str], value: Any, report: Report) -> None:
    pattern, longest, extra = (
        (_SUBDOMAIN, 253, ", - and .") if path[1] == "name" else (_DNS_LABEL, 63, " and -")
    )
    if value is None or value == "":
        report.add(path, Problem.REQUIRED, f"is required: the {path[1]} of the object")
    elif not isinstance(value, str):
        report.add(path, Problem.WRONG_TYPE, messages.wrong_type("string", value))
    elif not _fits(pattern, value, longest):
        message = (
            f"`{messages.cut(value)}` is not valid; expected at most {longest} lower-case letters, digits{extra}, "
            "beginning and ending with a letter or digit"
        )
        report.add(path, Problem.INVALID_NAME, message)


def _fits(pattern: re.Pattern[str], value: Any, longest: int) -> bool:
    return isinstance(value, str) and len(value) <= longest and pattern.fullmatch(value) is not None


def _check_labels(labels: Any, report: Report) -> None:
    for key, value in _entries(labels, "labels", report):
        prefix, slash, name = key.rpartition("/")
        if (slash and not _fits(_SUBDOMAIN, prefix, 253)) or not _fits(_LABEL_NAME, name, 63):
            message = "is no label key; expected up to 63 letters, digits, -, _ and ., after an optional prefix with /"
            report.add(("metadata", "labels", key), Problem.INVALID_VALUE, message)
        if not isinstance(value, str):
            message = messages.wrong_type("string", value)
            report.add(("metadata", "labels", key), Problem.WRONG_TYPE, message)
        elif not _fits(_LABEL_VALUE, value, 63):
            message = f"`{messages.cut(value)}` is not valid; expected up to 63 letters, digits, -, _ and ."
            report.add(("metadata", "labels", key), Problem.INVALID_VALUE, message)


def _check_annotations(annotations: Any, report: Report) -> None:
    total = 0
    for key, value in _entries(annotations, "annotations", report):
        if isinstance(value, str):
            total += len(key) + len(value)
        else:
            path = ("metadata", "annotations", key)
            report.add(path, Problem.WRONG_TYPE, messages.wrong_type("string", value))
    if total > _ANNOTATIONS_MAX:
        message = f"are larger than {_ANNOTATIONS_MAX >> 10} KiB together"
        report.add(("metadata", "annotations"), Problem.TOO_LONG, message)


def _entries(value: Any, name: str, report: Report) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return list(value.items())
    if value is not None:
        report.add(("metadata", name), Problem.WRONG_TYPE, messages.wrong_type("object", value))
    return []
