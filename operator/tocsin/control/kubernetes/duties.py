"""Who is on call by each schedule, for statuses: nothing escalates by this.

A duty is worked out anew when it changes by itself, when its schedule did, and once an hour in any case, but at most once
a minute. Calendars that a dispatcher fetched are taken from the store.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from sqlalchemy import Connection

from tocsin.api.common import Identity
from tocsin.api.durations import HOUR, MINUTE
from tocsin.dispatch.calendars import KEPT_FOR
from tocsin.flow import oncall
from tocsin.flow.model import Digest, Flow, Micros, ResponderFragment, ScheduleFragment
from tocsin.flow.oncall import Calendar
from tocsin.flow.status import Duty
from tocsin.store import calendars

KIND = "OnCallSchedule"
NO_DUTY = Duty()


class _Known(NamedTuple):
    """`digest` is that of the schedule; the answer holds until `until`."""

    digest: Digest
    duty: Duty
    until: Micros


class _Fetched(NamedTuple):
    """A calendar from the store, the digest of its text, and when its host last confirmed it."""

    digest: str
    calendar: Calendar
    read_at: Micros


class Duties:
    """`refresh` and `fetched` may run in any thread, one call at a time; `of` tells what they found."""

    def __init__(self) -> None:
        self._flow: Flow | None = None
        self._people: Mapping[str, ResponderFragment] = {}
        self._schedules: Mapping[Identity, Digest] = {}
        self._known: dict[Identity, _Known] = {}
        self._fetched: dict[str, _Fetched] = {}
        self._texts: dict[Identity, tuple[Digest, Calendar]] = {}

    def of(self, identity: Identity) -> Duty:
        known = self._known.get(identity)
        return NO_DUTY if known is None else known.duty

    def refresh(self, flow: Flow, now: Micros, *, changed: Collection[Identity] = ()) -> set[Identity]:
        """Works out what is due, and what is `changed`; the schedules of which something else is to be said."""
        self._take_over(flow)
        told: set[Identity] = set()
        for identity, digest in self._schedules.items():
            known = self._known.get(identity)
            if known is not None and known.digest == digest and now < known.until and identity not in changed:
                continue
            schedule = flow.fragments[digest]
            if isinstance(schedule, ScheduleFragment):
                fresh = self._known[identity] = self._work_out(identity, digest, schedule, now)
                if known is None or known.duty != fresh.duty:
                    told.add(identity)
        return told

    def fetched(self, connection: Connection) -> Mapping[Identity, str]:
        """Takes over calendars from the store; what is wrong with the last try of each, where something is."""
        problems: dict[Identity, str] = {}
        found: dict[str, _Fetched] = {}
        for name, state in calendars.load(connection).items():
            identity = Identity(KIND, *name.split("/", 1))
            if identity not in self._schedules:
                continue
            if state.problem:
                problems[identity] = state.problem
            held = self._fetched.get(name)
            if held is None or held.digest != state.digest:
                held = _Fetched(state.digest, _parsed(calendars.text_of(connection, name)), state.read_at)
                self._known.pop(identity, None)
            found[name] = held._replace(read_at=state.read_at)
        self._fetched = found
        return problems

    def _take_over(self, flow: Flow) -> None:
        if flow is self._flow:
            return
        people: dict[str, ResponderFragment] = {}
        schedules: dict[Identity, Digest] = {}
        for identity, digest in flow.manifest.items():
            if identity.kind == KIND:
                schedules[identity] = digest
            elif isinstance(fragment := flow.fragments[digest], ResponderFragment):
                people[f"{identity.namespace}/{identity.name}"] = fragment
        self._flow, self._people, self._schedules = flow, people, schedules
        for held in (self._known, self._texts):
            for identity in held.keys() - schedules.keys():
                del held[identity]

    def _work_out(
        self, identity: Identity, digest: Digest, schedule: ScheduleFragment, now: Micros
    ) -> _Known:
        calendar = self._calendar(identity, digest, schedule)
        fetched = self._fetched.get(f"{identity.namespace}/{identity.name}")
        if fetched is not None and now > fetched.read_at + KEPT_FOR:
            calendar = None  # no dispatcher believes it any more
        handover = oncall.next_handover(schedule, self._people, calendar, now)
        duty = Duty(
            on_call=oncall.on_call(schedule, self._people, calendar, now).responders,
            following=() if handover is None else handover.responders,
            handover=None if handover is None else handover.at,
        )
        until = now + HOUR if handover is None else min(handover.at, now + HOUR)
        return _Known(digest, duty, Micros(max(until, now + MINUTE)))

    def _calendar(self, identity: Identity, digest: Digest, schedule: ScheduleFragment) -> Calendar | None:
        if schedule.calendar is None:
            return None
        if not schedule.calendar.text:
            held = self._fetched.get(f"{identity.namespace}/{identity.name}")
            return None if held is None else held.calendar
        known = self._texts.get(identity)
        if known is None or known[0] != digest:
            known = self._texts[identity] = (digest, _parsed(schedule.calendar.text))
        return known[1]


def _parsed(text: str) -> Calendar:
    try:
        return oncall.parse(text)
    except oncall.InvalidCalendar as problem:
        return oncall.unreadable(str(problem))
