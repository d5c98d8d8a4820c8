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
from tocsin.flow.templates import Condition, is_true

_MOST_CANDIDATES = 64
"""Earlier routes compared per fact; with more, a shadow may go unseen, but none is claimed wrongly."""


Scalar = str | int | float | bool | None
Subject = tuple[str | int, ...]
"""What a template compares: `("payload", "status")`."""


class Comparison(NamedTuple):
    """The value at `subject` equals one of `values`; as in templates, `1 == 1.0 == True`."""

    subject: Subject
    values: frozenset[Scalar]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """`possible` is False for a route that is broken or can never match: it neither shadows nor is shadowed."""

    needs: frozenset[str]
    gives: frozenset[str]
    possible: bool
    softer: Mapping[str, Matcher | Comparison] = field(compare=False)
    """Needs that another fact about the same label or value may imply."""
    certain: Mapping[str, Matcher | Comparison] = field(compare=False)
    """By label or value: the fact that may imply others."""
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
    needs: dict[str, Matcher | Comparison | None] = {
        _label(matcher): matcher for matcher in fragment.matchers
    }
    if fragment.regex:
        needs[_fact("regex", fragment.regex)] = None
    gives = dict(needs)
    possible = not broken and contradiction(fragment.matchers) is None
    if fragment.template is not None and examined is not None:
        if examined.constant is not None:
            possible = possible and is_true(examined.constant)
        else:
            text = _fact("template", *fragment.template.delimiters, fragment.template.text.strip())
            compared = {_compared(comparison): comparison for comparison in _comparisons(examined.condition)}
            gives |= {**compared, text: None}
            needs |= compared if examined.condition and examined.condition.exact else {text: None}
    gives |= dict(_other_words(gives.values()))
    return Conditions(
        needs=frozenset(needs),
        gives=frozenset(gives),
        possible=possible,
        softer={fact: meant for fact, meant in needs.items() if meant is not None and _is_soft(meant)},
        certain={
            _subject(meant): meant for meant in gives.values() if meant is not None and _is_certain(meant)
        },
        pivots=tuple(sorted(needs)),
        lookups=(*gives, *{_subject(meant) for meant in gives.values() if meant is not None}),
    )


def _other_words(
    given: Iterable[Matcher | Comparison | None],
) -> Iterator[tuple[str, Matcher | Comparison]]:
    """A label that is not empty is the same to a matcher with `=` and to a comparison in a template."""
    for meant in list(given):
        match meant:
            case Matcher(key=key, operator="=", value=value) if value:
                comparison = Comparison(("labels", key), frozenset({value}))
                yield _compared(comparison), comparison
            case Comparison(subject=("labels", str(key)), values=values) if len(values) == 1:
                only = next(iter(values))
                if isinstance(only, str) and only:
                    matcher = Matcher(key=key, value=only)
                    yield _label(matcher), matcher


IMPOSSIBLE = Conditions(
    needs=frozenset(), gives=frozenset(), possible=False, softer={}, certain={}, pivots=(), lookups=()
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
            meant = asked.softer.get(pivot)
            bucket = pivot if meant is None else _subject(meant)
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
        soft = wanted.softer.get(need)
        certain = None if soft is None else given.certain.get(_subject(soft))
        if not _follows(soft, certain):
            return False
    return True


def _follows(soft: Matcher | Comparison | None, certain: Matcher | Comparison | None) -> bool:
    match soft, certain:
        case Matcher(), Matcher(value=value):
            return _holds_for(soft, value)
        case Comparison(), Comparison(values=values):
            return values <= soft.values
        case _:
            return False


def _fact(*parts: str) -> str:
    return "\0".join(parts)


def _label(matcher: Matcher) -> str:
    return _fact("label", matcher.key, matcher.operator, matcher.value)


def _compared(comparison: Comparison) -> str:
    return _fact("compare", repr(comparison.subject), *sorted(map(repr, comparison.values)))


def _is_soft(meant: Matcher | Comparison) -> bool:
    return meant.operator != "=" if isinstance(meant, Matcher) else len(meant.values) > 1


def _is_certain(meant: Matcher | Comparison) -> bool:
    return not isinstance(meant, Matcher) or meant.operator == "="


def _subject(meant: Matcher | Comparison) -> str:
    """The label or value that a fact is about."""
    if isinstance(meant, Matcher):
        return _fact("label", meant.key)
    return _fact("compare", repr(meant.subject))


def _comparisons(condition: Condition | None) -> Iterator[Comparison]:
    if condition is not None:
        for part in (condition, *condition.rest):
            yield Comparison(part.path, frozenset(part.values))


@lru_cache(maxsize=16_384)
def _holds_for(matcher: Matcher, value: str) -> bool:
    """As the evaluator decides it; an invalid expression never holds."""
    return LabelMatchers((matcher,)).hold({matcher.key: value})
