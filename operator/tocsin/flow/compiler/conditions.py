"""What a route asks of an alert, as facts that can be compared: for shadowed and duplicate routes.

Only claims that hold for every alert are made. Two readings of one condition are kept apart: `needs` is what
suffices for the route to match, `gives` what is certain once it has matched. One route is shadowed by an earlier
one if what it gives implies all that the earlier one needs.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from tocsin.api.common import Identity, Matcher
from tocsin.flow.compiler.texts import Examination
from tocsin.flow.matchers import LabelMatchers
from tocsin.flow.model import RouteFragment
from tocsin.flow.templates import is_true

_MOST_CANDIDATES = 64
"""Earlier routes compared per condition; with more, a shadow may go unseen, but none is claimed wrongly."""


class Atom(NamedTuple):
    """One condition: `template`, `regex`, `label` or `compare` with what it says."""

    kind: str
    subject: object
    operator: str = ""
    value: object = ""


class Conditions(NamedTuple):
    """`possible` is False for a route that is broken or can never match: it shadows nothing."""

    needs: frozenset[Atom]
    gives: frozenset[Atom]
    possible: bool


class Shadow(NamedTuple):
    """The earlier route that matches whatever this one matches; `duplicate` if they ask for the same."""

    by: Identity
    duplicate: bool


def conditions_of(fragment: RouteFragment, examined: Examination | None, *, broken: bool) -> Conditions:
    """`examined` belongs to the route's template, if it has one."""
    needs: set[Atom] = {_label(matcher) for matcher in fragment.matchers}
    if fragment.regex:
        needs.add(Atom("regex", fragment.regex))
    gives = set(needs)
    possible = not broken and contradiction(fragment.matchers) is None
    if fragment.template is not None and examined is not None:
        if examined.constant is not None:
            possible = possible and is_true(examined.constant)
        else:
            text = Atom("template", fragment.template.text.strip(), value=fragment.template.delimiters)
            compared = _compared(examined)
            gives |= {text, *compared}
            exact = examined.condition is not None and examined.condition.exact
            needs |= set(compared) if exact else {text}
    return Conditions(frozenset(needs), frozenset(gives), possible)


def contradiction(matchers: tuple[Matcher, ...]) -> tuple[int, int] | None:
    """Two matchers (by index) of which at most one can hold, if an exact value makes that certain."""
    for index, matcher in enumerate(matchers):
        if matcher.operator == "=":
            for other, candidate in enumerate(matchers):
                if (
                    other != index
                    and candidate.key == matcher.key
                    and not _holds_for(candidate, matcher.value)
                ):
                    return min(index, other), max(index, other)
    return None


def shadows(routes: Sequence[tuple[Identity, Conditions]]) -> Mapping[Identity, Shadow]:
    """The shadowed ones among routes given in order of evaluation."""
    rarity = Counter(atom for _, conditions in routes if conditions.possible for atom in conditions.needs)
    earlier: dict[object, list[int]] = defaultdict(list)
    found: dict[Identity, Shadow] = {}
    catch_all: int | None = None
    for position, (identity, conditions) in enumerate(routes):
        if not conditions.possible:
            continue
        by = _first_that_covers(conditions, routes, earlier, catch_all)
        if by is not None:
            covering, needs = routes[by]
            found[identity] = Shadow(covering, needs.needs == conditions.needs)
        elif not conditions.needs:
            catch_all = position
        else:
            pivot = min(conditions.needs, key=lambda atom: (rarity[atom], atom.kind, str(atom)))
            earlier[_bucket(pivot)].append(position)
    return found


def _first_that_covers(
    conditions: Conditions,
    routes: Sequence[tuple[Identity, Conditions]],
    earlier: Mapping[object, list[int]],
    catch_all: int | None,
) -> int | None:
    """Position of the first earlier route that is certain to match; a shadowed route covers nothing new itself."""
    best = catch_all
    for bucket in {key for atom in conditions.gives for key in _buckets(atom)}:
        for position in earlier.get(bucket, ())[:_MOST_CANDIDATES]:
            if best is not None and position >= best:
                break
            if all(_implied(need, conditions.gives) for need in routes[position][1].needs):
                best = position
                break
    return best


def _label(matcher: Matcher) -> Atom:
    return Atom("label", matcher.key, matcher.operator, matcher.value)


def _compared(examined: Examination) -> Iterator[Atom]:
    condition = examined.condition
    if condition is not None:
        for part in (condition, *condition.rest):
            yield Atom("compare", part.path, value=part.values)


def _bucket(need: Atom) -> object:
    """Where a route is filed under one of its needs: needs that something else may imply go by subject."""
    if need.kind == "label" and need.operator != "=":
        return ("label", need.subject)
    return need


def _buckets(given: Atom) -> Iterable[object]:
    """Where to look for routes that `given` may satisfy."""
    return (given, ("label", given.subject)) if given.kind == "label" else (given,)


def _implied(need: Atom, gives: frozenset[Atom]) -> bool:
    if need in gives:
        return True
    if need.kind != "label":
        return False
    matcher = _matcher(need)
    return any(
        given.kind == "label"
        and given.subject == need.subject
        and given.operator == "="
        and _holds_for(matcher, str(given.value))
        for given in gives
    )


def _matcher(atom: Atom) -> Matcher:
    return Matcher(key=str(atom.subject), operator=atom.operator, value=str(atom.value))  # type: ignore[arg-type]


def _holds_for(matcher: Matcher, value: str) -> bool:
    """As the evaluator decides it; an invalid expression never holds."""
    return LabelMatchers((matcher,)).hold({matcher.key: value})
