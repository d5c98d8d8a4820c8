"""Choosing a route without trying all of them.

Every route is filed under one comparison that it cannot match without: a label matcher with `=`, or a comparison of
a constant with a path of the payload or a label (`templates.comparison`). An alert then meets the routes filed under
the values it has, and those that cannot be filed. The index only leaves out routes that would have come out false
without an error; whatever it is unsure of it keeps. So winner and errors are those of trying all in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import merge
from itertools import chain
from typing import Any

from tocsin.flow.templates import Condition

Scalar = str | int | float | bool | None
Positions = Sequence[int]
"""Positions of routes in order of precedence, ascending."""

_ATTRIBUTES = frozenset(chain.from_iterable(map(dir, (str, int, float, bool, type(None), list))))
_FEW = 64
_DEEPEST = 32


class Atom:
    """The route can match only if the value at `path` is one of `values`. `path` begins with payload or labels.

    `marks` stand for the pairs of path and value where only a count of them is needed.
    """

    __slots__ = ("marks", "path", "values")

    def __init__(self, path: tuple[str | int, ...], values: tuple[Scalar, ...]) -> None:
        self.path = path
        self.values = tuple(dict.fromkeys(values))
        self.marks = tuple(hash((path, value)) for value in self.values)


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


class _Shelf:
    """Routes by the value that they ask for at one place. `all` holds each of them once."""

    __slots__ = ("all", "buckets")

    def __init__(self) -> None:
        self.buckets: dict[Scalar, Positions] = {}
        self.all: list[int] = []


class _Node(_Shelf):
    """One step of a payload path: routes filed under this value, and further steps."""

    __slots__ = ("children", "positions", "risky")

    def __init__(self) -> None:
        super().__init__()
        self.children: dict[str, _Node] = {}
        self.positions: dict[int, _Node] = {}
        """Children by list index."""
        self.risky: Positions = ()
        """What lies below names that texts, numbers and lists have as methods."""

    def child(self, step: str | int) -> _Node:
        below: dict[Any, _Node] = self.children if isinstance(step, str) else self.positions
        node = below.get(step)
        if node is None:
            node = below[step] = _Node()
        return node


@dataclass(slots=True)
class RouteIndex:
    """Built once per integration; `candidates` is called per alert."""

    unfiled: list[int] = field(default_factory=list)
    labels: dict[str, dict[Scalar, Positions]] = field(default_factory=dict)
    payload: _Node = field(default_factory=_Node)

    def candidates(self, payload: Any, labels: Mapping[str, str]) -> Iterable[int]:
        """Positions worth trying, ascending. All routes that could match or fail on this alert are among them."""
        found: list[Positions] = [self.unfiled] if self.unfiled else []
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

    def _by_labels(self, labels: Mapping[str, str], found: list[Positions]) -> None:
        filed = self.labels
        for key in filed if len(filed) <= len(labels) else labels:
            value = labels.get(key)
            if value is not None and key in filed:
                hit = filed[key].get(value)
                if hit is not None:
                    found.append(hit)


def _walk(node: _Node, value: Any, found: list[Positions]) -> None:
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


def _walk_below(node: _Node, value: Any, found: list[Positions]) -> None:
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
    usage: dict[int, int] = {}
    for options in listed:
        for atom in options:
            for mark in atom.marks:
                usage[mark] = usage.get(mark, 0) + 1
    index = RouteIndex()
    shelves: dict[tuple[str | int, ...], _Shelf] = {}
    for position, options in enumerate(listed):
        if not options:
            index.unfiled.append(position)
            continue
        atom = options[0] if len(options) == 1 else _rarest(options, usage)
        shelf = shelves.get(atom.path)
        if shelf is None:
            shelf = shelves[atom.path] = _shelf(index, atom.path)
        shelf.all.append(position)
        buckets = shelf.buckets
        for value in atom.values:
            held = buckets.get(value)
            if held is None:
                buckets[value] = (position,)
            elif isinstance(held, list):
                held.append(position)
            else:
                buckets[value] = [*held, position]
    _note_risks(index.payload)
    return index


def _rarest(options: tuple[Atom, ...], usage: Mapping[int, int]) -> Atom:
    """The first of those that the fewest routes share."""
    rarest, fewest = options[0], -1
    for atom in options:
        shared = 0
        for mark in atom.marks:
            shared += usage[mark]
        if shared < fewest or fewest < 0:
            rarest, fewest = atom, shared
    return rarest


def _shelf(index: RouteIndex, path: tuple[str | int, ...]) -> _Shelf:
    """Where routes are filed that compare the value at `path`; made when the first one is."""
    if path[0] == "labels" and len(path) == 2:
        shelf = _Shelf()
        index.labels[str(path[1])] = shelf.buckets
        return shelf
    node = index.payload
    for step in path[1:]:
        node = node.child(step)
    return node


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
