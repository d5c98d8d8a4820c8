"""Recurrence rules: the dates on which a recurring window starts (RFC 5545, the part that Tocsin takes).

The rule is expanded here and not by python-dateutil because that one walks from the very first start, and to the
year 9999 when nothing matches: a rule for 30 February would stop the compiler for seconds. Here every search
starts at the period around the wanted day and is bounded. Property tests compare the results with dateutil.

Not taken: frequencies below a day, BYHOUR, BYMINUTE, BYSECOND (a window starts at one time of day), BYEASTER.
Where the first start does not fit the rule it is no occurrence.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from itertools import islice
from typing import Any

MAX_PERIODS = 5_000
"""Periods (days, weeks, months, years of the rule's FREQ) that one expansion looks at."""
MAX_COUNT = 5_000
FIRST_YEAR = 1970
LAST_YEAR = 2199

WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_BY_DAY = re.compile(r"([-+]?[0-9]{1,2})?(MO|TU|WE|TH|FR|SA|SU)")
_UNTIL = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})(?:T([0-9]{2})([0-9]{2})([0-9]{2})(Z)?)?")
_TIMES = ("BYHOUR", "BYMINUTE", "BYSECOND")
_DAY = timedelta(days=1)


class InvalidRecurrence(ValueError):
    """The text is no rule that Tocsin takes; the message says which part and what to write instead."""


class Frequency(StrEnum):
    DAILY = "DAILY"
    WEEKLY = "WEEKLY"
    MONTHLY = "MONTHLY"
    YEARLY = "YEARLY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Until:
    """Last possible start, inclusive: wall time of the window's zone, or UTC where written with Z."""

    moment: datetime
    utc: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A parsed rule. `by_day` holds (n, weekday): n is 0 for every such weekday of the period."""

    frequency: Frequency
    interval: int = 1
    count: int | None = None
    until: Until | None = None
    week_start: int = 0
    by_month: frozenset[int] = frozenset()
    by_month_day: frozenset[int] = frozenset()
    by_year_day: frozenset[int] = frozenset()
    by_week_no: frozenset[int] = frozenset()
    by_day: frozenset[tuple[int, int]] = frozenset()
    by_set_pos: tuple[int, ...] = ()


def parse_rule(text: str) -> Rule:
    """Raises InvalidRecurrence."""
    parts = _parts(text)
    if "FREQ" not in parts:
        raise InvalidRecurrence("FREQ is missing: write FREQ=DAILY, WEEKLY, MONTHLY or YEARLY")
    if parts["FREQ"] not in Frequency.__members__:
        raise InvalidRecurrence(f"FREQ={parts['FREQ']} is not taken: write DAILY, WEEKLY, MONTHLY or YEARLY")
    frequency = Frequency(parts.pop("FREQ"))
    values: dict[str, Any] = {}
    for name, value in parts.items():
        field, parse = _PARTS[name]
        values[field] = parse(name, value)
    rule = Rule(frequency=frequency, **values)
    _check_combination(rule)
    return rule


def _parts(text: str) -> dict[str, str]:
    upper = text.strip().upper()
    if upper.startswith(("RRULE:", "DTSTART")):
        raise InvalidRecurrence(
            "write only the rule, without RRULE: and DTSTART (the start is spec.schedule.start)"
        )
    parts: dict[str, str] = {}
    for pair in upper.removesuffix(";").split(";"):
        name, equals, value = pair.partition("=")
        if not equals or not value:
            raise InvalidRecurrence(f"{pair!r} is not NAME=VALUE")
        if name in _TIMES:
            raise InvalidRecurrence(f"{name} is not taken: the time of day is that of spec.schedule.start")
        if name != "FREQ" and name not in _PARTS:
            raise InvalidRecurrence(f"unknown part {name}; known are FREQ, {', '.join(_PARTS)}")
        if name in parts:
            raise InvalidRecurrence(f"{name} is given twice")
        parts[name] = value
    return parts


def _check_combination(rule: Rule) -> None:
    """The combinations that RFC 5545 forbids: they would be read differently by every calendar."""
    frequency = rule.frequency
    numbered = any(n for n, _ in rule.by_day)
    monthly_or_yearly = frequency in (Frequency.MONTHLY, Frequency.YEARLY)
    if rule.count is not None and rule.until is not None:
        raise InvalidRecurrence("COUNT and UNTIL exclude each other: keep one")
    if numbered and (not monthly_or_yearly or rule.by_week_no):
        raise InvalidRecurrence("a numbered BYDAY such as 1TU needs FREQ=MONTHLY or YEARLY, and no BYWEEKNO")
    if rule.by_month_day and frequency is Frequency.WEEKLY:
        raise InvalidRecurrence("BYMONTHDAY does not go with FREQ=WEEKLY")
    if (rule.by_week_no or rule.by_year_day) and frequency is not Frequency.YEARLY:
        raise InvalidRecurrence("BYWEEKNO and BYYEARDAY need FREQ=YEARLY")
    others = rule.by_month or rule.by_month_day or rule.by_year_day or rule.by_week_no or rule.by_day
    if rule.by_set_pos and not others:
        raise InvalidRecurrence("BYSETPOS chooses among the days of another BY part: add one")


def _number(low: int, high: int) -> Callable[[str, str], int]:
    def parse(name: str, value: str) -> int:
        if not re.fullmatch(r"[-+]?[0-9]{1,6}", value) or not low <= int(value) <= high:
            raise InvalidRecurrence(f"{name}={value} has to be a number from {low} to {high}")
        return int(value)

    return parse


def _numbers(low: int, high: int) -> Callable[[str, str], tuple[int, ...]]:
    """A list of numbers; a negative `low` also admits counting from the end, and never 0."""
    one = _number(low, high)

    def parse(name: str, value: str) -> tuple[int, ...]:
        numbers = tuple(sorted({one(name, item) for item in value.split(",")}))
        if 0 in numbers:
            raise InvalidRecurrence(f"{name} cannot hold 0: count from 1, or from -1 at the end")
        return numbers

    return parse


def _number_set(low: int, high: int) -> Callable[[str, str], frozenset[int]]:
    listed = _numbers(low, high)
    return lambda name, value: frozenset(listed(name, value))


def _parse_by_day(name: str, value: str) -> frozenset[tuple[int, int]]:
    days: set[tuple[int, int]] = set()
    for item in value.split(","):
        match = _BY_DAY.fullmatch(item)
        number = int(match[1]) if match and match[1] else 0
        if match is None or (match[1] and not 1 <= abs(number) <= 53):
            raise InvalidRecurrence(
                f"{name}={item} is no weekday: write MO to SU, or 1TU, -1FR with a number"
            )
        days.add((number, WEEKDAYS.index(match[2])))
    return frozenset(days)


def _parse_until(name: str, value: str) -> Until:
    match = _UNTIL.fullmatch(value)
    try:
        if match is None:
            raise ValueError
        day = date(int(match[1]), int(match[2]), int(match[3]))
        at = time(int(match[4]), int(match[5]), int(match[6])) if match[4] else time.max
    except ValueError:
        raise InvalidRecurrence(
            f"{name}={value} is no date: write 20261231, 20261231T220000 or 20261231T220000Z"
        ) from None
    return Until(moment=datetime.combine(day, at), utc=bool(match[7]))


def _parse_week_start(name: str, value: str) -> int:
    if value not in WEEKDAYS:
        raise InvalidRecurrence(f"{name}={value} is no weekday: write MO to SU")
    return WEEKDAYS.index(value)


_PARTS: dict[str, tuple[str, Callable[[str, str], object]]] = {
    "INTERVAL": ("interval", _number(1, 10_000)),
    "COUNT": ("count", _number(1, MAX_COUNT)),
    "UNTIL": ("until", _parse_until),
    "WKST": ("week_start", _parse_week_start),
    "BYMONTH": ("by_month", _number_set(1, 12)),
    "BYMONTHDAY": ("by_month_day", _number_set(-31, 31)),
    "BYYEARDAY": ("by_year_day", _number_set(-366, 366)),
    "BYWEEKNO": ("by_week_no", _number_set(-53, 53)),
    "BYDAY": ("by_day", _parse_by_day),
    "BYSETPOS": ("by_set_pos", _numbers(-366, 366)),
}


class Recurrence:
    """A rule tied to its first start: answers which dates it yields, without looking at all those before.

    A search looks at `MAX_PERIODS` periods at most and stays between the first start and the end of `LAST_YEAR`.
    A rule with COUNT is expanded from its first start once, at construction; it ends where that search ends.
    """

    __slots__ = ("_counted", "_rule", "_start")

    def __init__(self, rule: Rule, start: date) -> None:
        self._start = start
        self._rule = _with_defaults(rule, start)
        self._counted: tuple[date, ...] | None = None
        if rule.count is not None:
            self._counted = tuple(islice(self._walk(0, 1), rule.count))

    @property
    def rule(self) -> Rule:
        return self._rule

    def between(self, first: date, last: date) -> Iterator[date]:
        """The dates from `first` to `last`, both included, ascending."""
        found = self._counted if self._counted is not None else self._walk(self._index(first), 1, last)
        return (day for day in found if first <= day <= last)

    def backwards(self, last: date, first: date) -> Iterator[date]:
        """The same dates, descending."""
        found = (
            reversed(self._counted) if self._counted is not None else self._walk(self._index(last), -1, first)
        )
        return (day for day in found if first <= day <= last)

    def _walk(self, index: int, step: int, limit: date | None = None) -> Iterator[date]:
        """Dates of the periods from `index` on, up to the period behind which nothing can reach `limit`."""
        for _ in range(MAX_PERIODS):
            period = self._period(index) if index >= 0 else None
            if period is None:
                return
            if limit is not None and (period[0] > limit if step > 0 else period[1] < limit):
                return
            days = self._days(*period)
            yield from (day for day in (days if step > 0 else reversed(days)) if day >= self._start)
            index += step

    def _index(self, day: date) -> int:
        """The last period that begins at or before `day`, at least 0."""
        rule, start = self._rule, self._start
        match rule.frequency:
            case Frequency.DAILY:
                distance = (day - start).days
            case Frequency.WEEKLY:
                distance = (day - _start_of_week(start, rule.week_start)).days // 7
            case Frequency.MONTHLY:
                distance = _month_number(day) - _month_number(start)
            case Frequency.YEARLY:
                distance = day.year - start.year
        return max(0, distance // rule.interval)

    def _period(self, index: int) -> tuple[date, date] | None:
        """First and last day of a period; None beyond the last year."""
        rule, start = self._rule, self._start
        distance = index * rule.interval
        match rule.frequency:
            case Frequency.DAILY:
                first = _plus_days(start, distance)
                last = first
            case Frequency.WEEKLY:
                first = _plus_days(_start_of_week(start, rule.week_start), 7 * distance)
                last = None if first is None else first + 6 * _DAY
            case Frequency.MONTHLY:
                first, last = _month(_month_number(start) + distance)
            case Frequency.YEARLY:
                year = min(start.year + distance, LAST_YEAR + 1)
                first, last = date(year, 1, 1), date(year, 12, 31)
        if first is None or last is None or first.year > LAST_YEAR:
            return None
        return first, last

    def _days(self, first: date, last: date) -> list[date]:
        days = [day for day in self._candidates(first, last) if self._matches(day)]
        if not self._rule.by_set_pos:
            return days
        chosen = {pos - 1 if pos > 0 else len(days) + pos for pos in self._rule.by_set_pos}
        return [day for position, day in enumerate(days) if position in chosen]

    def _candidates(self, first: date, last: date) -> Iterator[date]:
        months = self._rule.by_month
        day = first
        while day <= last:
            if months and day.month not in months:
                day = _month(_month_number(day) + 1)[0]
                continue
            yield day
            day += _DAY

    def _matches(self, day: date) -> bool:
        rule = self._rule
        if rule.by_month_day and not _either(rule.by_month_day, day.day, _days_of_month(day)):
            return False
        if rule.by_year_day and not _either(rule.by_year_day, _day_of_year(day), _days_of_year(day)):
            return False
        if rule.by_week_no and not _either(rule.by_week_no, *_week_number(day, rule.week_start)):
            return False
        return not rule.by_day or self._on_weekday(day)

    def _on_weekday(self, day: date) -> bool:
        rule, weekday = self._rule, day.weekday()
        if (0, weekday) in rule.by_day:
            return True
        if rule.frequency is Frequency.MONTHLY or rule.by_month:
            position, size = day.day, _days_of_month(day)
        else:
            position, size = _day_of_year(day), _days_of_year(day)
        from_start, from_end = (position - 1) // 7 + 1, -((size - position) // 7 + 1)
        return (from_start, weekday) in rule.by_day or (from_end, weekday) in rule.by_day


def _with_defaults(rule: Rule, start: date) -> Rule:
    """What the first start says where the rule names no day."""
    if rule.by_week_no or rule.by_year_day or rule.by_month_day or rule.by_day:
        return rule
    match rule.frequency:
        case Frequency.DAILY:
            return rule
        case Frequency.WEEKLY:
            return replace(rule, by_day=frozenset({(0, start.weekday())}))
        case Frequency.MONTHLY:
            return replace(rule, by_month_day=frozenset({start.day}))
        case Frequency.YEARLY:
            return replace(
                rule, by_month=rule.by_month or frozenset({start.month}), by_month_day=frozenset({start.day})
            )


def _either(wanted: frozenset[int], position: int, size: int) -> bool:
    """Whether a 1-based position is wanted, counted from the start or (negative) from the end."""
    return position in wanted or position - size - 1 in wanted


def _plus_days(day: date, days: int) -> date | None:
    try:
        return day + timedelta(days=days)
    except OverflowError:
        return None


def _month_number(day: date) -> int:
    return day.year * 12 + day.month - 1


def _month(number: int) -> tuple[date, date]:
    """First and last day of a month; months beyond the last year collapse into its successor."""
    year, month = divmod(min(number, (LAST_YEAR + 1) * 12), 12)
    first = date(year, month + 1, 1)
    return first, first + timedelta(days=calendar.monthrange(year, month + 1)[1] - 1)


def _days_of_month(day: date) -> int:
    return calendar.monthrange(day.year, day.month)[1]


def _days_of_year(day: date) -> int:
    return 366 if calendar.isleap(day.year) else 365


def _day_of_year(day: date) -> int:
    return day.timetuple().tm_yday


def _start_of_week(day: date, week_start: int) -> date:
    return day - timedelta(days=(day.weekday() - week_start) % 7)


def _first_week(year: int, week_start: int) -> date:
    """Where week 1 starts: the week with at least four days in the year."""
    return _start_of_week(date(year, 1, 4), week_start)


def _week_number(day: date, week_start: int) -> tuple[int, int]:
    """Number of the day's week and how many weeks that week's year has."""
    year = day.year
    if day >= _first_week(year + 1, week_start):
        year += 1
    elif day < _first_week(year, week_start):
        year -= 1
    first = _first_week(year, week_start)
    return (day - first).days // 7 + 1, (_first_week(year + 1, week_start) - first).days // 7
