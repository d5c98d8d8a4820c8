"""What a route asks of an alert, as facts that can be compared: for shadowed and duplicate routes.

Only claims that hold for every alert are made. Two readings of a route's conditions are kept apart: `needs` is what
suffices for it to match, `gives` what is certain once it has matched. A route is shadowed by an earlier one if what
it gives implies all that the earlier one needs. Facts are texts, because there are many and texts compare fast.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from tocsin.api.common import Identity, Matcher
from tocsin.flow.compiler.texts import Examination
from tocsin.flow.matchers import LabelMatchers
from tocsin.flow.model import RouteFragment
from tocsin.flow.templates import is_true

_MOST_CANDIDATES = 64
"""Earlier routes compared per fact; with more, a shadow may go unseen, but none is claimed wrongly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """`possible` is False for a route that is broken or can never match: it neither shadows nor is shadowed."""

    needs: frozenset[str]
    gives: frozenset[str]
    possible: bool
    exact: Mapping[str, str] = field(compare=False)
    """Labels whose value is certain once the route has matched."""
    softer: Mapping[str, Matcher] = field(compare=False)
    """Needs that a certain value of the label may imply."""
    pivots: tuple[str, ...] = field(compare=False)
    """The needs, sorted: a route is filed under its rarest."""
    lookups: tuple[str, ...] = field(compare=False)
    """The facts under which an earlier route is filed that this one may imply."""


class Shadow(NamedTuple):
    """The earlier route that matches whatever this one matches; `duplicate` if they ask for the same."""

    by: Identity
    duplicate: bool


def conditions_of(fragment: RouteFragment, examined: Examination | None, *, broken: bool) -> Conditions:
    """`examined` belongs to the route's template, if it has one."""
    matchers = fragment.matchers
    needs = {_label(matcher): matcher for matcher in matchers}
    facts = set(needs)
    if fragment.regex:
        facts.add(_fact("regex", fragment.regex))
    gives = set(facts)
    possible = not broken and contradiction(matchers) is None
    if fragment.template is not None and examined is not None:
        if examined.constant is not None:
            possible = possible and is_true(examined.constant)
        else:
            text = _fact("template", *fragment.template.delimiters, fragment.template.text.strip())
            compared = set(_compared(examined))
            gives |= compared | {text}
            exact = examined.condition is not None and examined.condition.exact
            facts |= compared if exact else {text}
    return Conditions(
        needs=frozenset(facts),
        gives=frozenset(gives),
        possible=possible,
        exact={matcher.key: matcher.value for matcher in matchers if matcher.operator == "="},
        softer={fact: matcher for fact, matcher in needs.items() if matcher.operator != "="},
        pivots=tuple(sorted(facts)),
        lookups=(*gives, *{_subject(matcher) for matcher in matchers}),
    )


IMPOSSIBLE = Conditions(
    needs=frozenset(), gives=frozenset(), possible=False, exact={}, softer={}, pivots=(), lookups=()
)


def contradiction(matchers: tuple[Matcher, ...]) -> tuple[int, int] | None:
    """Two matchers (by index) of which at most one can hold, if an exact value makes that certain."""
    for index, matcher in enumerate(matchers):
        if matcher.operator != "=":
            continue
        for other, candidate in enumerate(matchers):
            if other != index and candidate.key == matcher.key and not _holds_for(candidate, matcher.value):
                return min(index, other), max(index, other)
    return None


def shadows(routes: Sequence[Identity], conditions: Sequence[Conditions]) -> Mapping[Identity, Shadow]:
    """The shadowed ones among routes, given with their conditions in order of evaluation."""
    rank = Counter(chain.from_iterable(asked.needs for asked in conditions if asked.possible)).__getitem__
    earlier: dict[str, list[int]] = {}
    found: dict[Identity, Shadow] = {}
    catch_all: int | None = None
    for position, asked in enumerate(conditions):
        if not asked.possible:
            continue
        by = _first_that_covers(asked, conditions, earlier, catch_all)
        if by is not None:
            found[routes[position]] = Shadow(routes[by], conditions[by].needs == asked.needs)
        elif not asked.needs:
            catch_all = position
        else:
            pivot = min(asked.pivots, key=rank)
            matcher = asked.softer.get(pivot)
            bucket = pivot if matcher is None else _subject(matcher)
            earlier.setdefault(bucket, []).append(position)
    return found


def _first_that_covers(
    asked: Conditions,
    conditions: Sequence[Conditions],
    earlier: Mapping[str, list[int]],
    catch_all: int | None,
) -> int | None:
    """Position of the first earlier route that is certain to match; one that is shadowed itself is not filed."""
    best = catch_all
    for fact in asked.lookups:
        positions = earlier.get(fact)
        if positions is None:
            continue
        for position in positions[:_MOST_CANDIDATES]:
            if best is not None and position >= best:
                break
            if _implied(conditions[position], asked):
                best = position
                break
    return best


def _implied(wanted: Conditions, given: Conditions) -> bool:
    """Whether an alert that meets `given` is certain to meet `wanted`."""
    for need in wanted.needs - given.gives:
        matcher = wanted.softer.get(need)
        value = None if matcher is None else given.exact.get(matcher.key)
        if matcher is None or value is None or not _holds_for(matcher, value):
            return False
    return True


def _fact(*parts: str) -> str:
    return "\0".join(parts)


def _label(matcher: Matcher) -> str:
    return _fact("label", matcher.key, matcher.operator, matcher.value)


def _subject(matcher: Matcher) -> str:
    """Where routes are filed whose need on this label an exact value may imply."""
    return _fact("label", matcher.key)


def _compared(examined: Examination) -> Iterator[str]:
    condition = examined.condition
    if condition is not None:
        for part in (condition, *condition.rest):
            yield _fact("compare", repr(part.path), *_sorted_values(part.values))


def _sorted_values(values: Iterable[object]) -> list[str]:
    return sorted(repr(value) for value in values)


@lru_cache(maxsize=16_384)
def _holds_for(matcher: Matcher, value: str) -> bool:
    """As the evaluator decides it; an invalid expression never holds."""
    return LabelMatchers((matcher,)).hold({matcher.key: value})
