"""Writing the Python of a specialised template, statement by statement."""

from __future__ import annotations

from typing import Any, NamedTuple


class Value(NamedTuple):
    """A value in the generated code. `kind`: json (part of the payload, or missing), str, bool, const or any."""

    code: str
    kind: str
    const: Any = None


class Unsupported(Exception):
    """No frequent shape."""


class Writer:
    """Lines, temporary names and constants of one function."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._indent = 1
        self._temporaries = 0
        self._constants: dict[str, Any] = {}
        self._used: set[str] = set()

    def _emit(self, line: str) -> None:
        self._lines.append(" " * self._indent + line)

    def _name(self) -> str:
        self._temporaries += 1
        return f"t{self._temporaries}"

    def _temporary(self, code: str) -> str:
        name = self._name()
        self._emit(f"{name} = {code}")
        return name

    def _atom(self, value: Value) -> str:
        return (
            value.code if value.code.isidentifier() or value.kind == "const" else self._temporary(value.code)
        )

    def _constant(self, value: Any) -> str:
        name = f"K{len(self._constants)}"
        self._constants[name] = value
        return name

    def _use(self, name: str) -> str:
        self._used.add(name)
        return name
