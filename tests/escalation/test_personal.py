"""The rules of one person."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from situations import Situation, people

from tocsin.api.durations import MINUTE, SECOND
from tocsin.api.escalationchain import Importance
from tocsin.flow.escalation.effects import Log
from tocsin.flow.escalation.personal import (
    PersonalAdvance,
    PersonalRun,
    Send,
    advance_personal,
    start_personal,
    stop_personal,
)
from tocsin.flow.groups import LogKind, State
from tocsin.flow.model import ContactFragment, Micros, RuleFragment

PLAIN = people("ann").responders["default/ann"]
ANN = replace(
    PLAIN,
    contacts=tuple(ContactFragment(name=name, channel="default/x") for name in ("mail", "phone", "text")),
    default=(
        RuleFragment(contact="mail"),
        RuleFragment(contact="text"),
        RuleFragment(wait=5 * MINUTE),
        RuleFragment(contact="phone"),
        RuleFragment(wait=10 * MINUTE),
        RuleFragment(contact="text"),
    ),
    important=(RuleFragment(contact="phone"),),
)
FIRING = Situation(responder=ANN)


def sent(done: PersonalAdvance) -> list[str]:
    return [effect.contact for effect in done.effects if isinstance(effect, Send)]


def failures(done: PersonalAdvance) -> list[str]:
    logs = [effect for effect in done.effects if isinstance(effect, Log)]
    return [log.details["reason"] for log in logs if log.kind is LogKind.PERSON_NOT_NOTIFIED]


def start(*, paged: bool = False) -> PersonalRun:
    return start_personal(ANN, Importance.DEFAULT, Micros(0), paged=paged)


def test_rules_follow_each_other_at_once_and_after_their_waits() -> None:
    """Each contact once, at its time; each sending has an entry in the log; then it is over."""
    first = advance_personal(start(), FIRING, Micros(0))
    assert (sent(first), first.resume_at) == (["mail", "text"], 5 * MINUTE)
    assert sum(isinstance(effect, Log) for effect in first.effects) == 2
    early = advance_personal(first.run, FIRING, Micros(5 * MINUTE - 1))
    assert early == PersonalAdvance(run=first.run, resume_at=Micros(5 * MINUTE))
    second = advance_personal(first.run, FIRING, Micros(5 * MINUTE + 20 * SECOND))
    assert (sent(second), second.resume_at) == (["phone"], 15 * MINUTE)
    last = advance_personal(second.run, FIRING, Micros(15 * MINUTE))
    assert (sent(last), last.resume_at, last.run.finished) == (["text"], None, True)
    assert advance_personal(last.run, FIRING, Micros(16 * MINUTE)) == PersonalAdvance(run=last.run)


@pytest.mark.parametrize("paged", [False, True])
@pytest.mark.parametrize(
    ("situation", "stops_paged"),
    [
        (Situation(state=State.ACKNOWLEDGED), False),
        (Situation(state=State.SILENCED), False),
        (Situation(state=State.SILENCED, silenced_for_ever=True), False),
        (Situation(state=State.ACKNOWLEDGED, answered=True), True),
        (Situation(state=State.RESOLVED), True),
        (Situation(wiped=True), True),
        (Situation(attached=True), True),
    ],
)
def test_what_stops_a_person_s_rules(situation: Situation, *, stops_paged: bool, paged: bool) -> None:
    """Who was paged by hand is told even if the group is acknowledged or silenced, until they acknowledge it themselves.

    Rules: R-NTF-5
    """
    situation.responder = ANN
    done = advance_personal(start(paged=paged), situation, Micros(0))
    stopped = stops_paged or not paged
    assert done.run.finished is stopped
    assert sent(done) == ([] if stopped else ["mail", "text"])


def test_which_rules_apply() -> None:
    """Important ones if asked for and there are any; without rules the first contact once; without contacts nobody."""
    plain = replace(ANN, important=())
    assert start_personal(ANN, Importance.IMPORTANT, Micros(0)).rules == ANN.important
    assert start_personal(plain, Importance.IMPORTANT, Micros(0)).rules == ANN.default
    fallback = start_personal(replace(plain, default=()), Importance.DEFAULT, Micros(0))
    once = advance_personal(fallback, FIRING, Micros(0))
    assert (sent(once), once.run.finished) == (["mail"], True)
    nothing = replace(plain, default=(), contacts=())
    done = advance_personal(
        start_personal(nothing, Importance.DEFAULT, Micros(0)), Situation(responder=nothing), Micros(0)
    )
    assert failures(done) == ["Responder default/ann has neither rules nor a contact: nobody is told"]
    assert done.run.finished


def test_contacts_and_people_may_be_gone_by_then() -> None:
    """A contact that is gone is logged and the next rule follows; a person who is gone ends it with one entry."""
    without = Situation(responder=replace(ANN, contacts=ANN.contacts[1:]))
    done = advance_personal(start(), without, Micros(0))
    assert (sent(done), len(failures(done))) == (["text"], 1)
    gone = advance_personal(start(), Situation(), Micros(0))
    assert (gone.run.finished, len(failures(gone)), sent(gone)) == (True, 1, [])


def test_overdue_rules_make_way_for_the_newest() -> None:
    """An hour late: only the last contact, and one entry that names the others; a wait that is not over starts anew."""
    late = advance_personal(start(), FIRING, Micros(60 * MINUTE))
    assert (sent(late), late.run.finished) == (["text"], True)
    assert late.effects[0].details["skipped"] == "1, 2, 4"
    shortly = advance_personal(start(), FIRING, Micros(7 * MINUTE))
    assert (sent(shortly), shortly.resume_at) == (["phone"], 17 * MINUTE)


def test_unpaged_is_over() -> None:
    """Whatever was to come."""
    assert advance_personal(stop_personal(start(paged=True)), FIRING, Micros(0)).effects == ()
