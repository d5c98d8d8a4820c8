"""The CEL rules of the CRDs (`x-kubernetes-validations`), compiled once and run as the API server runs them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import cel

ABSENT: Any = object()
"""Stands for the old value of what is new: rules that compare with `oldSelf` do not run then."""

_SELF = re.compile(r"\b(?:self|oldSelf)\b(?:\.(\w+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. `field_path` points from the place of the rule to the field to blame, as `.selector`."""

    message: str
    field_path: str
    program: cel.Program
    compares: bool
    """Whether it is a transition rule, with `oldSelf`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """All rules of one place of a schema."""

    rules: tuple[Rule, ...]
    fields: frozenset[str] | None
    """The properties of `self` that the rules look at; None: the whole value. Converting less is what costs least."""

    def broken(self, value: Any, old: Any = ABSENT) -> Iterable[Rule]:
        """The rules that do not hold. One that fails to evaluate does not hold."""
        variables = {"self": self._visible(value)}
        if old is not ABSENT:
            variables["oldSelf"] = self._visible(old)
        context = cel.Context(variables=variables)
        for rule in self.rules:
            if (old is not ABSENT or not rule.compares) and not _holds(rule, context):
                yield rule

    def _visible(self, value: Any) -> Any:
        if self.fields is None or not isinstance(value, dict):
            return value
        return {name: value[name] for name in self.fields if name in value}


def compile_rules(schema: Mapping[str, Any]) -> Rules | None:
    """The rules of a schema node, or None. Raises ValueError for an expression that is no CEL."""
    declared = schema.get("x-kubernetes-validations")
    if not declared:
        return None
    rules = tuple(
        Rule(
            message=entry["message"],
            field_path=entry.get("fieldPath", ""),
            program=cel.compile(entry["rule"]),
            compares="oldSelf" in entry["rule"],
        )
        for entry in declared
    )
    names = [name for entry in declared for name in _SELF.findall(entry["rule"])]
    whole = schema["type"] != "object" or "properties" not in schema or "" in names
    return Rules(rules=rules, fields=None if whole else frozenset(names))


def _holds(rule: Rule, context: cel.Context) -> bool:
    try:
        return bool(rule.program.execute(context))
    except Exception:  # noqa: BLE001 -- whatever keeps a rule from being evaluated, the API server refuses it
        return False
