"""Rules of the specification, each shown at its place in a timeline of `golden/`."""

from __future__ import annotations

from collections.abc import Iterable

from escalating import at, played


def _told(lines: Iterable[str]) -> list[str]:
    return [line for line in lines if " tell " in line]


def test_what_runs_is_what_was_declared_at_the_start() -> None:
    """Edits of a chain apply at the next start; people of a team are those of the moment.

    Rules: R-ESC-2
    """
    lines = played("edited_meanwhile")
    assert "#1 tell default/new Default (step 2)" in at(lines, "07-01 12:10:00")
    assert sum("was edited" in line for line in lines) == 1
    assert "#1 post default/room (step 0)" in at(lines, "07-01 12:36:10")


def test_every_start_but_a_resumed_pause_is_at_the_first_step() -> None:
    """Rules: R-ESC-5"""
    assert all("(step 0)" in line for line in _told(played("stops")) if "default/bob" in line)
    resumed = at(played("more_alerts"), "07-01 12:22:00")
    assert "#1 tell default/ann Default (step 1)" in resumed


def test_nobody_on_call_an_unreadable_calendar_and_no_schedule_are_told_apart() -> None:
    """Rules: R-ESC-14"""
    reasons = [line.split(": ", 1)[1] for line in played("errors") if "notifyOnCall" in line]
    assert "there is no OnCallSchedule default/nowhere" in reasons[0]
    assert reasons[1].endswith("nobody is on call")
    assert "the calendar cannot be read" in reasons[2]


def test_errors_never_stop_a_chain() -> None:
    """Ten steps that cannot do what they say, and the last one tells its person.

    Rules: R-ESC-35
    """
    lines = played("errors")
    assert sum("escalation_failed" in line for line in lines) == 10
    assert "#1 tell default/dora Default (step 10)" in at(lines, "07-01 12:05:00")
    assert "#1 log escalation_finished" in at(lines, "07-01 12:05:00")


def test_resolve_ends_it() -> None:
    """Whoever a later step names is never told. (Attached groups follow their root: tests/groups.)

    Rules: R-ESC-32
    """
    lines = played("waits_and_resolve")
    assert at(lines, "07-01 14:00:00")[-1] == "#1 is resolved"
    assert not any("default/bob" in line for line in lines)


def test_acknowledge_stops_and_unacknowledge_starts_over() -> None:
    """A person's as well as the source's; one that is taken back within ten seconds has told nobody.

    Rules: R-ESC-40
    """
    lines = played("stops")
    told = _told(lines)
    assert [line.split()[1] for line in told[:2]] == ["12:00:00", "13:00:10"]
    assert not any("14:31" < line.split()[1] < "15:00:10" for line in told)
    assert any(line.startswith("07-01 15:00:10") for line in told)


def test_resolve_stops_and_unresolve_starts_over() -> None:
    """Rules: R-ESC-41"""
    lines = played("stops")
    assert not any("13:01:00" < line.split()[1] < "13:30:10" for line in _told(lines))
    assert "#1 tell default/bob Default (step 0)" in at(lines, "07-01 13:30:10")


def test_a_silence_with_an_end_starts_over_and_one_without_ends() -> None:
    """S-24: it starts at the first step, because whoever silenced it put it aside, and somebody else may be on call.

    Rules: R-ESC-42
    """
    lines = played("stops")
    assert "#1 tell default/bob Default (step 0)" in at(lines, "07-01 13:51:10")
    assert not any("13:52:00" < line.split()[1] < "14:30:10" for line in _told(lines))


def test_attached_and_wiped_groups_are_silent_and_detached_ones_start_over() -> None:
    """Rules: R-ESC-43"""
    lines = [line for line in played("stops") if "#3" in line]
    after_attach = [line for line in lines if "15:22:00" < line.split()[1] < "15:50:00"]
    assert after_attach == []
    assert "#3 tell default/bob Default (step 0)" in at(lines, "07-01 15:50:10")
    assert lines[-1] == "07-01 15:51:00 #3 is resolved"


def test_pending_notifications_stop_by_themselves() -> None:
    """Bob's rules go on for 15 minutes; nobody cancels them, and none of them is sent to a group that is handled.

    Rules: R-ESC-44
    """
    sent = [line.split()[1] for line in played("stops") if "#1 send default/bob" in line]
    assert sent == ["12:00:00", "13:00:10", "13:30:10", "13:51:10", "14:30:10", "15:00:10"]


def test_an_alert_that_joins_restarts_nothing() -> None:
    """But for a pause.

    Rules: R-ESC-45
    """
    lines = played("more_alerts")
    assert at(lines, "07-01 12:30:00") == ["> alerts 5"]
    assert at(played("paused_and_stopped"), "07-01 12:20:00") == ["> alerts 1"]


def test_without_an_answer_the_group_is_unacknowledged_and_escalates_again() -> None:
    """A confirmation moves the next question to one interval after the last one.

    Rules: R-ACK-4
    """
    lines = played("unacknowledged_by_timeout")
    assert "#1 log acknowledge_reminder confirmed_by=bob next=07-01 16:01:00" in at(lines, "07-01 14:05:00")
    assert at(lines, "07-01 17:15:00") == ["#1 is firing"]
    assert "#1 tell default/cid Default (step 0)" in at(lines, "07-01 17:15:10")


def test_a_second_start_for_a_person_replaces_the_first() -> None:
    """Paged at 12:02 and 12:04: what was to come at 12:07 and 12:17 does not.

    Rules: R-NTF-4
    """
    sent = [line.split()[1] for line in played("paged") if " send " in line]
    assert sent[:4] == ["12:02:00", "12:04:00", "12:09:00", "12:19:00"]
