"""Choosing a route without trying all of them.

Every route is filed under one comparison that it cannot match without: a label matcher with `=`, or a comparison of
a constant with a path of the payload or a label (`templates.comparison`). An alert then meets the routes filed under
the values it has, and those that cannot be filed. The index only leaves out routes that would have come out false
without an error; whatever it is unsure of it keeps. So winner and errors are those of trying all in order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import merge
from itertools import chain
from typing import Any

from tocsin.flow.templates import Condition

Scalar = str | int | float | bool | None
Positions = tuple[int, ...]
"""Positions of routes in order of precedence, ascending."""

_ATTRIBUTES = frozenset(chain.from_iterable(map(dir, (str, int, float, bool, type(None), list))))
_FEW = 64
_DEEPEST = 32


@dataclass(frozen=True, slots=True)
class Atom:
    """The route can match only if the value at `path` is one of `values`. `path` begins with payload or labels."""

    path: tuple[str | int, ...]
    values: tuple[Scalar, ...]


def label_atom(key: str, values: tuple[str, ...]) -> Atom | None:
    """The atom of an anchored label matcher; None if it also holds for an alert without the label."""
    return None if "" in values else Atom(("labels", key), values)


def condition_atoms(condition: Condition | None) -> tuple[Atom, ...]:
    """All comparisons of a template, any of which may be the one to file it under."""
    if condition is None:
        return ()
    return tuple(
        Atom(part.path, part.values)
        for part in (condition, *condition.rest)
        if (part.path[0] == "payload" and 2 <= len(part.path) <= _DEEPEST)
        or (part.path[0] == "labels" and len(part.path) == 2)
    )


class _Node:
    """One step of a payload path: routes filed under this value, and further steps."""

    __slots__ = ("all", "buckets", "children", "positions", "risky")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.buckets: dict[Scalar, list[int]] = {}
        self.positions: dict[int, _Node] = {}
        """Children by list index."""
        self.all: list[int] = []
        self.risky: list[int] = []
        """What lies below names that texts, numbers and lists have as methods."""


@dataclass(slots=True)
class RouteIndex:
    """Built once per integration; `candidates` is called per alert."""

    unfiled: list[int] = field(default_factory=list)
    labels: dict[str, dict[Scalar, list[int]]] = field(default_factory=dict)
    payload: _Node = field(default_factory=_Node)
    size: int = 0

    def candidates(self, payload: Any, labels: Mapping[str, str]) -> Iterable[int]:
        """Positions worth trying, ascending. All routes that could match or fail on this alert are among them."""
        found: list[list[int]] = [self.unfiled] if self.unfiled else []
        if self.labels:
            self._by_labels(labels, found)
        if self.payload.children:
            _walk(self.payload, payload, found)
        if not found:
            return ()
        if len(found) == 1:
            return found[0]
        if sum(map(len, found)) <= _FEW:
            return sorted(chain.from_iterable(found))
        return merge(*found)

    def _by_labels(self, labels: Mapping[str, str], found: list[list[int]]) -> None:
        filed = self.labels
        for key in filed if len(filed) <= len(labels) else labels:
            value = labels.get(key)
            if value is not None and key in filed:
                hit = filed[key].get(value)
                if hit is not None:
                    found.append(hit)


def _walk(node: _Node, value: Any, found: list[list[int]]) -> None:
    """Collect what is filed under the values that this payload has."""
    if node.buckets:
        try:
            hit = node.buckets.get(value)
        except TypeError:
            hit = node.all  # a list or an object: plain evaluation decides
        if hit:
            found.append(hit)
    children = node.children
    if isinstance(value, dict):
        for key in children if len(children) <= len(value) else value:
            if key in value:
                child = children.get(key)
                if child is not None:
                    _walk(child, value[key], found)
    else:
        _walk_below(node, value, found)


def _walk_below(node: _Node, value: Any, found: list[list[int]]) -> None:
    """Further steps from a value that is no object."""
    if node.positions and isinstance(value, list | str):
        for place, child in node.positions.items():
            if -len(value) <= place < len(value):
                _walk(child, value[place], found)
    if node.risky:
        found.append(node.risky)


def build_index(atoms: Iterable[tuple[Atom, ...]]) -> RouteIndex:
    """`atoms` holds, per route in order of precedence, what it can be filed under; () means that it cannot.

    Of several comparisons the rarest is taken, so that ten thousand routes that all ask for `severity == critical`
    are told apart by what else they ask for.
    """
    listed = list(atoms)
    usage = Counter(
        (atom.path, value) for options in listed for atom in options for value in set(atom.values)
    )
    index = RouteIndex(size=len(listed))
    for position, options in enumerate(listed):
        if not options:
            index.unfiled.append(position)
        else:
            best = options[0]
            if len(options) > 1:
                best = min(
                    options, key=lambda atom: sum(usage[atom.path, value] for value in set(atom.values))
                )
            _file(index, position, best)
    _note_risks(index.payload)
    return index


def _file(index: RouteIndex, position: int, atom: Atom) -> None:
    if atom.path[0] == "labels" and len(atom.path) == 2:
        buckets: dict[Scalar, list[int]] = index.labels.setdefault(str(atom.path[1]), {})
    else:
        node = index.payload
        for step in atom.path[1:]:
            if isinstance(step, str):
                node = node.children.setdefault(step, _Node())
            else:
                node = node.positions.setdefault(step, _Node())
        node.all.append(position)
        buckets = node.buckets
    for value in dict.fromkeys(atom.values):
        buckets.setdefault(value, []).append(position)


def _note_risks(root: _Node) -> None:
    """Below a text, number, list or null a name may still lead somewhere: to a method. Such routes are tried there."""
    for node in _nodes(root):
        node.risky = sorted(
            position
            for key, child in node.children.items()
            if key in _ATTRIBUTES
            for below in _nodes(child)
            for position in below.all
        )


def _nodes(root: _Node) -> Iterator[_Node]:
    """The node and all below it. Iterative, since a path may be long."""
    pending = [root]
    while pending:
        node = pending.pop()
        yield node
        pending.extend(node.children.values())
        pending.extend(node.positions.values())
