"""What became of attempts, written together: the deliveries, what follows from them, the groups' logs, health, counts."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace
from sqlalchemy import Connection

from tocsin.dispatch.clock import Clock
from tocsin.dispatch.deliveries import fallback
from tocsin.dispatch.deliveries.health import Health
from tocsin.dispatch.deliveries.meters import DeliveryMeters
from tocsin.dispatch.deliveries.parcels import Result, Shown
from tocsin.dispatch.deliveries.retry import Tries, next_try
from tocsin.dispatch.live import Live
from tocsin.flow.groups import Entry, LogKind, State
from tocsin.flow.model import Micros
from tocsin.flow.targets import Targets
from tocsin.notify.channel import DeliveryFailed, FailureReason
from tocsin.store import deliveries, groups, logbook, posted
from tocsin.store.deliveries import DeliveryState, NewDelivery, Outcome
from tocsin.store.posted import Posted

LOGGED = frozenset({deliveries.GROUP, deliveries.PERSONAL, deliveries.REMINDER})
POSTS = frozenset({deliveries.GROUP, deliveries.UPDATE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """One result and the outcome that follows from it. `instead`: the message that takes another way.

    `news`: alert groups that the responder heard of in person for the first time.
    """

    result: Result
    outcome: Outcome
    failure: DeliveryFailed | None = None
    instead: NewDelivery | None = None
    news: int = 0


class Recording:
    """`record` in the transaction; `count` what it returned, once that is committed."""

    def __init__(
        self, live: Live, clock: Clock, meters: DeliveryMeters, *, chance: Callable[[], float] = random.random
    ) -> None:
        self._live = live
        self._clock = clock
        self._meters = meters
        self._chance = chance
        self.health = Health()

    def record(self, connection: Connection, results: Sequence[Result]) -> tuple[Ending, ...]:
        """Returns what counted: another dispatcher may have been faster with a delivery whose lease had ended."""
        now = self._clock.now(connection)
        targets = self._live.program.targets
        endings = [self._ending(result, targets, now) for result in results]
        applied = deliveries.record(connection, [ending.outcome for ending in endings])
        counted = tuple(_with_news(connection, ending) for ending in endings if ending.outcome.id in applied)
        deliveries.enqueue(connection, [ending.instead for ending in counted if ending.instead is not None])
        entries = ((ending, _entry(ending, now)) for ending in counted)
        logbook.append_all(
            connection,
            [(e.result.delivery.group or 0, entry) for e, entry in entries if entry is not None],
        )
        _post(connection, counted, now)
        self.health.write(connection, results, now)
        return counted

    def count(self, endings: Sequence[Ending]) -> None:
        targets = self._live.program.targets
        for ending in endings:
            result, delivery = ending.result, ending.result.delivery
            match ending.outcome.state:
                case DeliveryState.DELIVERED:
                    self._meters.delivered(
                        result.type, delivery.kind, ending.outcome.at - delivery.created_at
                    )
                    person = targets.responders.get(delivery.responder)
                    if person is not None and ending.news:
                        self._meters.told(person.username, ending.news)
                case DeliveryState.FAILED if ending.failure is not None:
                    self._meters.failed(result.type, delivery.kind, ending.failure.reason)
                case _:
                    pass

    def _ending(self, result: Result, targets: Targets, now: Micros) -> Ending:
        delivery = result.delivery

        if result.failure is not None:
            return self._failed(result, result.failure, targets, now)
        outcome = Outcome(
            id=delivery.id,
            attempts=delivery.attempts,
            state=DeliveryState.PENDING,
            at=now,
            retry_at=Micros(now + result.again),
        )
        if result.sent is not None:
            outcome = replace(outcome, state=DeliveryState.DELIVERED, receipt=result.sent.receipt)
        elif result.dropped:
            outcome = replace(outcome, state=DeliveryState.DROPPED, reason=result.dropped)
        return Ending(result=result, outcome=outcome)

    def _failed(self, result: Result, failure: DeliveryFailed, targets: Targets, now: Micros) -> Ending:
        delivery = result.delivery
        other = fallback.second_way(delivery, targets)
        tries = Tries(
            kind=delivery.kind,
            attempts=delivery.attempts,
            first_at=delivery.first_attempt_at or now,
            second_way=bool(other),
        )
        again = next_try(failure, tries, now, chance=self._chance())
        outcome = Outcome(
            id=delivery.id,
            attempts=delivery.attempts,
            state=DeliveryState.FAILED if again is None else DeliveryState.PENDING,
            at=now,
            reason=failure.reason.value,
            error=failure.message,
            retry_at=again,
        )
        instead = fallback.in_place_of(delivery, other, now) if again is None and other else None
        return Ending(result=result, outcome=outcome, failure=failure, instead=instead)


def _with_news(connection: Connection, ending: Ending) -> Ending:
    result, delivery = ending.result, ending.result.delivery
    if result.sent is None or result.parcel is None or not delivery.responder:
        return ending
    if delivery.kind == deliveries.BUNDLE:
        return dataclasses.replace(ending, news=result.parcel.total)
    told = delivery.kind != deliveries.PERSONAL or deliveries.was_told(
        connection, delivery, ending.outcome.at
    )
    return ending if told else dataclasses.replace(ending, news=1)


def pause_of(result: Result) -> int:
    """For how long (microseconds) nothing more should go to this channel, because it said so."""
    failure = result.failure
    if failure is None or failure.reason is not FailureReason.RATE_LIMITED or failure.retry_after is None:
        return 0
    return int(failure.retry_after * 1_000_000)


def _entry(ending: Ending, now: Micros) -> Entry | None:
    """Who was told, who could not be told and why, for the group's log."""
    delivery = ending.result.delivery
    if delivery.group is None or delivery.kind not in LOGGED:
        return None
    details = {"channel": delivery.channel, "responder": delivery.responder, "contact": delivery.contact}
    reason = ""
    match ending.outcome.state:
        case DeliveryState.DELIVERED:
            kind = LogKind.DELIVERED
            details["receipt"] = ending.outcome.receipt
        case DeliveryState.FAILED if ending.failure is not None:
            kind = LogKind.ESCALATION_FAILED
            reason = f"{delivery.channel} could not be reached: {ending.failure.message}"
            details["error"] = ending.failure.reason.value
            details["instead"] = ending.instead.channel if ending.instead is not None else ""
        case _:
            return None
    found = tuple((name, value) for name, value in details.items() if value)
    return Entry(kind=kind, at=now, reason=reason, details=found)


def _post(connection: Connection, endings: Sequence[Ending], now: Micros) -> None:
    """Remembers messages that were posted or edited. One whose group changed while it was on its way is edited again."""
    said: dict[tuple[int, str], tuple[Ending, Shown]] = {}
    for ending in endings:
        delivery, parcel = ending.result.delivery, ending.result.parcel
        if delivery.kind not in POSTS or delivery.group is None:
            continue
        shown = parcel.shown if parcel is not None else ending.result.seen
        if ending.outcome.state is DeliveryState.FAILED and delivery.kind == deliveries.UPDATE:
            posted.close(connection, delivery.group, delivery.channel)
        elif shown is not None and ending.outcome.state in (DeliveryState.DELIVERED, DeliveryState.DROPPED):
            said[delivery.group, delivery.channel] = (ending, shown)
    if not said:
        return
    messages = {place: _message(ending, shown, now) for place, (ending, shown) in said.items()}
    posted.put_all(connection, messages.values())
    state_of = groups.states_of(connection, sorted({group for group, _ in said}))
    late = [place for place, one in messages.items() if state_of.get(one.group, one.state) is not one.state]
    deliveries.enqueue_updates(connection, late, now)


def _message(ending: Ending, shown: Shown, now: Micros) -> Posted:
    """The first message of a group in a channel is the one that is kept up to date."""
    sent, parcel, there = ending.result.sent, ending.result.parcel, shown.there
    reference = sent.reference if sent is not None else ""
    edited = parcel is not None and parcel.reference != "" and parcel.way.edits
    if there is not None and not (edited and reference):
        reference = there.reference
    return Posted(
        group=shown.group,
        channel=ending.result.delivery.channel,
        reference=reference,
        shown=shown.digest,
        alerts_count=shown.alerts_count,
        state=shown.state,
        posted_at=there.posted_at if there is not None else now,
        updated_at=now,
        open=shown.state is not State.RESOLVED,
    )
