"""The structural schema of a CRD, compiled: what the API server does with an object when it is applied.

One walk over a value fills in defaults, drops nulls, and reports unknown fields, wrong values, duplicate entries
and broken CEL rules. Written for the small subset of OpenAPI that structural schemas are, because a general
validator knows neither defaults nor nulls nor lists of unique entries, and is many times slower.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tocsin.api import messages, paths
from tocsin.api.common import Finding
from tocsin.api.conditions import Problem
from tocsin.api.rules import ABSENT, Rules, compile_rules

Path = tuple[str | int, ...]

_BLOCKING: Final = frozenset(
    {
        Problem.REQUIRED,
        Problem.WRONG_TYPE,
        Problem.TOO_LONG,
        Problem.TOO_MANY,
        Problem.TOO_FEW,
        Problem.UNKNOWN_FIELD,
    }
)
"""Problems that keep the rules around them from running, so that one mistake is not reported twice."""

_DATE_TIME = re.compile(
    r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?([Zz]|[-+][0-9]{2}:[0-9]{2})"
)
_INTEGERS = {"int32": 2**31, "int64": 2**63}


@dataclass(slots=True)
class Report:
    """What a walk found, in the order of the schema."""

    findings: list[Finding] = field(default_factory=list)
    blocking: int = 0

    def add(self, path: Path, problem: Problem, message: str) -> None:
        self.findings.append(Finding(field=paths.join(path), reason=problem, message=message))
        self.blocking += problem in _BLOCKING


@dataclass(slots=True, kw_only=True)
class Schema:
    """One place of a schema. `kind` is the OpenAPI type; a bound that is not given is None."""

    kind: str
    description: str = ""
    default: Any = ABSENT
    enum: tuple[Any, ...] = ()
    pattern: re.Pattern[str] | None = None
    format: str = ""
    minimum: int | None = None
    maximum: int | None = None
    shortest: int | None = None
    longest: int | None = None
    required: tuple[str, ...] = ()
    properties: Mapping[str, Schema] = field(default_factory=dict)
    defaults: tuple[str, ...] = ()
    values: Schema | None = None
    """Schema of the values of a map (`additionalProperties`)."""
    items: Schema | None = None
    unique: tuple[str, ...] | None = None
    """Keys that tell entries of a list apart; () for a set of scalars; None for a list that may repeat itself."""
    rules: Rules | None = None

    def complete(self, value: Any, report: Report, path: Path = (), old: Any = ABSENT) -> Any:
        """The value as the API server would store it: a copy with defaults and without nulls, problems reported."""
        simple = self.kind not in ("object", "array")
        before = len(report.findings) if simple else report.blocking
        match self.kind:
            case "object":
                value = self._object(value, report, path, old)
            case "array":
                value = self._array(value, report, path, old)
            case "string":
                self._text(value, report, path)
            case "boolean":
                if value is not True and value is not False:
                    report.add(path, Problem.WRONG_TYPE, messages.wrong_type("boolean", value))
            case _:
                value = self._number(value, report, path)
        # A default keeps its rules: a test says so. The root's rules also read metadata, which is checked before it.
        if self.rules is not None and value != self.default:
            after = len(report.findings) if simple else report.blocking
            for rule in self.rules.broken(value, old) if after == (before if path else 0) else ():
                blamed = (*path, *paths.split(rule.field_path))
                report.add(blamed, Problem.INVALID_VALUE, rule.message)
        return value

    def _object(self, value: Any, report: Report, path: Path, old: Any) -> Any:
        if not isinstance(value, dict):
            report.add(path, Problem.WRONG_TYPE, messages.wrong_type("object", value))
            return value
        result = {}
        for name, inner in value.items():
            schema = self.properties.get(name, self.values)
            if schema is not None:
                if inner is not None:  # a null is the same as no value
                    result[name] = schema.complete(inner, report, (*path, name), _entry(old, name))
            elif self.properties:
                message = messages.unknown_field(name, self.properties)
                report.add((*path, name), Problem.UNKNOWN_FIELD, message)
            else:  # metadata, which has rules of its own
                result[name] = inner
        self._fill(result, report, path, old)
        if self.longest is not None and len(result) > self.longest:
            report.add(path, Problem.TOO_MANY, messages.too_many(len(result), self.longest))
        return result

    def _fill(self, result: dict[str, Any], report: Report, path: Path, old: Any) -> None:
        """Adds defaults, then looks for what is still missing."""
        for name in self.defaults:
            if name not in result:
                schema = self.properties[name]
                result[name] = schema.complete(schema.default, report, (*path, name), _entry(old, name))
        for name in self.required:
            if name not in result:
                message = messages.required(self.properties[name].description)
                report.add((*path, name), Problem.REQUIRED, message)

    def _array(self, value: Any, report: Report, path: Path, old: Any) -> Any:
        if not isinstance(value, list) or self.items is None:
            report.add(path, Problem.WRONG_TYPE, messages.wrong_type("array", value))
            return value
        if self.longest is not None and len(value) > self.longest:
            report.add(
                path, Problem.TOO_MANY, f"has {len(value)} entries, at most {self.longest} are allowed"
            )
            return value
        if self.shortest is not None and len(value) < self.shortest:
            report.add(path, Problem.TOO_FEW, messages.too_few(len(value), self.shortest))
        before = self._by_key(old) if self.unique and isinstance(old, list) else {}
        items, seen = [], set()
        for index, inner in enumerate(value):
            if inner is None and self.items.default is not ABSENT:
                inner = self.items.default  # noqa: PLW2901 -- as the API server does
            key = self._key(inner)
            items.append(self.items.complete(inner, report, (*path, index), before.get(key, ABSENT)))
            if key is not None and key in seen:
                report.add((*path, index), Problem.DUPLICATE, messages.duplicate(key, self.unique or ()))
            seen.add(key)
        return items

    def _key(self, item: Any) -> tuple[Any, ...] | None:
        """What must be unique about an entry; None where nothing must, or where the entry is no entry."""
        if self.unique is None:
            return None
        if not self.unique:
            return (item,) if isinstance(item, (str, int)) else None
        if not isinstance(item, dict):
            return None
        key = tuple(item.get(name) for name in self.unique)
        return key if all(isinstance(part, (str, int)) for part in key) else None

    def _by_key(self, old: list[Any]) -> dict[tuple[Any, ...] | None, Any]:
        return {key: item for item in old if (key := self._key(item)) is not None}

    def _text(self, value: Any, report: Report, path: Path) -> None:
        if not isinstance(value, str):
            report.add(path, Problem.WRONG_TYPE, messages.wrong_type("string", value))
            return
        if self.enum:
            if value not in self.enum:
                report.add(path, Problem.NOT_SUPPORTED, messages.not_supported(value, self.enum))
            return
        length = len(value)
        if self.longest is not None and length > self.longest:
            report.add(path, Problem.TOO_LONG, messages.too_long(length, self.longest))
        elif value and self.pattern is not None and not self.pattern.search(value):
            report.add(path, Problem.INVALID_VALUE, messages.wrong_form(value, self.pattern.pattern))
        elif self.shortest is not None and length < self.shortest:
            report.add(path, Problem.TOO_SHORT, messages.too_short(length, self.shortest))
        elif self.pattern is not None and not self.pattern.search(value):
            report.add(path, Problem.INVALID_VALUE, messages.wrong_form(value, self.pattern.pattern))
        elif self.format == "date-time" and not _DATE_TIME.fullmatch(value):
            report.add(path, Problem.INVALID_VALUE, messages.wrong_form(value, "date-time"))

    def _number(self, value: Any, report: Report, path: Path) -> Any:
        if isinstance(value, float) and value.is_integer() and self.kind == "integer":
            value = int(value)
        whole = self.kind == "integer"
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            report.add(path, Problem.WRONG_TYPE, messages.wrong_type(self.kind, value))
            return value
        limit = _INTEGERS.get(self.format, 0)
        low = self.minimum if self.minimum is not None else (-limit if limit else value)
        high = self.maximum if self.maximum is not None else (limit - 1 if limit else value)
        if not low <= value <= high:
            report.add(path, Problem.INVALID_VALUE, messages.out_of_bounds(value, low, high))
        return value


def compile_schema(source: Mapping[str, Any]) -> Schema:
    """The schema of a CRD in the form that checks values. Raises ValueError for a CEL rule that is no CEL."""
    properties = {name: compile_schema(inner) for name, inner in source.get("properties", {}).items()}
    values, items = source.get("additionalProperties"), source.get("items")
    return Schema(
        kind=source["type"],
        description=source.get("description", ""),
        default=source.get("default", ABSENT),
        enum=tuple(source.get("enum", ())),
        # Go's `$` is the end of the text, Python's may stand before a last line break.
        pattern=re.compile(re.sub(r"\$$", r"\\Z", source["pattern"]), re.ASCII)
        if "pattern" in source
        else None,
        format=source.get("format", ""),
        minimum=source.get("minimum"),
        maximum=source.get("maximum"),
        shortest=source.get("minLength", source.get("minItems")),
        longest=source.get("maxLength", source.get("maxItems", source.get("maxProperties"))),
        required=tuple(source.get("required", ())),
        properties=properties,
        defaults=tuple(name for name, inner in properties.items() if inner.default is not ABSENT),
        values=compile_schema(values) if values else None,
        items=compile_schema(items) if items else None,
        unique=_unique(source),
        rules=compile_rules(source),
    )


def _entry(old: Any, name: str) -> Any:
    return old.get(name, ABSENT) if isinstance(old, dict) else ABSENT


def _unique(source: Mapping[str, Any]) -> tuple[str, ...] | None:
    match source.get("x-kubernetes-list-type"):
        case "set":
            return ()
        case "map":
            return tuple(source["x-kubernetes-list-map-keys"])
        case _:
            return None
