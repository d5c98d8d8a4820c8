"""Those who are told: a change touches what depends on it and nothing else, and what is said of it all."""

from __future__ import annotations

from typing import Any

import pytest
from compiler_cases import NOW, compile_text, inventory_of, manifest, reasons, report_of

from tocsin.api.common import Identity
from tocsin.flow.compiler import ChainFacts, ChannelFacts, Compiled, ResponderFacts, compile_flow
from tocsin.flow.model import ChainFragment, IntegrationFragment, Micros, WindowFragment
from tocsin.sources import load_types

DAY = 86_400_000_000
CHANNEL = manifest("NotificationChannel", "mail", "{email: {host: m, from: a@b.c, to: [x@y.z]}}")
ADA = manifest("Responder", "ada", "{teams: [sre], contacts: [{name: mail, channelRef: {name: mail}}]}")
SCHEDULE = manifest(
    "OnCallSchedule",
    "primary",
    "{layers: [{name: l, start: 2026-06-01T09:00, participants: [{responderRefs: [{name: ada}]}]}]}",
)
CHAIN = manifest(
    "EscalationChain",
    "all",
    "{team: sre, steps: [{notifyOnCall: {scheduleRef: {name: primary}}}, {notifyResponders: {responderRefs: [{name: ada}]}}, "
    "{notifyChannel: {channelRef: {name: mail}}}]}",
)
WEB = manifest(
    "Integration",
    "web",
    "{type: webhook, defaultRoute: {escalationChainRef: {name: all}, chatops: [{channelRef: {name: mail}}]}}",
)
EVERYTHING = CHANNEL + ADA + SCHEDULE + CHAIN + WEB


def again(text: str, before: Compiled, now: Micros = NOW) -> Compiled:
    return compile_flow(inventory_of(text), types=load_types(), now=now, previous=before)


def compiled_anew(before: Compiled, after: Compiled) -> set[str]:
    """Names of the objects that were compiled again, changed or not."""
    parts = ((before.state.locals, after.state.locals), (before.state.owns, after.state.owns))
    anew = {i for old, new in parts for i, made in new.items() if made is not old.get(i)}
    return {f"{identity.kind}/{identity.name}" for identity in anew}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("to: [x@y.z]", "to: [other@y.z]", {"NotificationChannel/mail"}),
        ("teams: [sre]", "teams: [sre], email: ada@b.c", {"Responder/ada"}),
        ("start: 2026-06-01T09:00", "start: 2026-06-02T09:00", {"OnCallSchedule/primary"}),
        ("{team: sre, steps: [", "{team: sre, steps: [{wait: {duration: 1m}}, ", {"EscalationChain/all"}),
        (
            "to: [x@y.z]",
            "to: []",
            {"NotificationChannel/mail", "Responder/ada", "EscalationChain/all", "Integration/web"},
        ),
        (
            "{teams: [sre], contacts",
            "{suspend: true, teams: [sre], contacts",
            {"Responder/ada", "OnCallSchedule/primary", "EscalationChain/all"},
        ),
        ("teams: [sre]", "teams: [db]", {"Responder/ada", "EscalationChain/all"}),
    ],
    ids=[
        "a channel's address",
        "a person's e-mail",
        "a schedule's layers",
        "a chain's steps",
        "a channel that is no place any more",
        "a person who is suspended",
        "a team without anybody",
    ],
)
def test_a_change_compiles_what_depends_on_it(old: str, new: str, expected: set[str]) -> None:
    """Who refers to an object looks at whether it is there and admits them, hardly ever at what it says."""
    before = compile_text(EVERYTHING)
    assert old in EVERYTHING
    after = again(EVERYTHING.replace(old, new), before)
    assert compiled_anew(before, after) == expected


def test_a_name_that_is_not_there_is_looked_at_when_objects_come_and_go() -> None:
    """A new object of the kind may be what was meant; a changed one is not."""
    text = EVERYTHING.replace("escalationChainRef: {name: all}", "escalationChainRef: {name: alk}")
    before = compile_text(text)
    changed = again(text.replace("{team: sre, steps: [", "{team: sre, steps: [{resolve: {}}, "), before)
    assert "Integration/web" not in compiled_anew(before, changed)
    mended = again(text + manifest("EscalationChain", "alk", "{steps: []}"), changed)
    assert "Integration/web" in compiled_anew(changed, mended)
    assert report_of(mended, "Integration", "web").resolved_refs


def test_what_is_used_is_counted() -> None:
    """Routes and Integrations of a chain; whatever refers to a channel. A suspended object uses nothing."""
    compiled = compile_text(EVERYTHING)
    assert report_of(compiled, "EscalationChain", "all").facts == ChainFacts(steps=3, used_by=1)
    assert report_of(compiled, "NotificationChannel", "mail").facts == ChannelFacts(type="email", used_by=3)
    assert report_of(compiled, "Responder", "ada").facts == ResponderFacts(contacts=1)
    route = manifest(
        "AlertRoute",
        "r",
        "{parentRefs: [{name: web}], match: {regex: x}, escalationChainRef: {name: all}, chatops: [{channelRef: {name: mail}}]}",
    )
    with_route = again(EVERYTHING + route, compiled)
    assert report_of(with_route, "EscalationChain", "all").facts == ChainFacts(steps=3, used_by=2)
    asleep = again(
        EVERYTHING.replace("{team: sre, steps", "{suspend: true, team: sre, steps") + route, compiled
    )
    assert report_of(asleep, "NotificationChannel", "mail").facts == ChannelFacts(type="email", used_by=3)


def fragment(compiled: Compiled, kind: str, name: str, namespace: str = "default") -> Any:
    return compiled.flow.fragment(Identity(kind, namespace, name))


def test_names_stay_where_nothing_is_found() -> None:
    """So that the log of an alert can say what was missing; one that is not admitted finds nothing even if it is there."""
    elsewhere = manifest("EscalationChain", "all", "{steps: []}", namespace="other")
    text = WEB.replace("{name: all}", "{name: all, namespace: other}") + elsewhere
    web = fragment(compile_text(text), "Integration", "web")
    assert isinstance(web, IntegrationFragment)
    assert web.default_target.escalation_chain == "other/all..not-admitted"
    assert web.default_target.channels == ("default/mail",)
    shared = elsewhere.replace("{steps: []}", "{steps: [], sharing: {namespaces: {from: All}}}")
    admitted = fragment(compile_text(text.replace(elsewhere, shared)), "Integration", "web")
    assert admitted.default_target.escalation_chain == "other/all"


def test_a_broken_step_says_what_to_log() -> None:
    """By its position as people count; references that lead nowhere are no breakage: they are met when the step runs."""
    chain = manifest(
        "EscalationChain",
        "x",
        "{steps: [{notifyChannel: {channelRef: {name: gone}}}, {wait: {duration: 9d}}, {notifyTeam: {name: nobody}}]}",
    )
    compiled = compile_text(chain)
    made = fragment(compiled, "EscalationChain", "x")
    assert isinstance(made, ChainFragment)
    assert made.broken == ((1, "step 2 cannot be carried out: '9d' has to be from 1s to 1d"),)
    assert reasons(report_of(compiled, "EscalationChain", "x").findings) == [
        ("spec.steps[0].notifyChannel.channelRef", "RefNotFound"),
        ("spec.steps[1].wait.duration", "InvalidValue"),
        ("spec.steps[2].notifyTeam.name", "RefNotFound"),
    ]


def test_a_window_announces_to_channels_that_are_there() -> None:
    window = manifest(
        "MaintenanceWindow",
        "w",
        "{mode: Debug, integrationRefs: [{name: web}], schedule: {start: 2026-08-01T10:00, duration: 1h}, "
        "announce: {atStart: true, chatops: [{channelRef: {name: mail}}, {channelRef: {name: maik}}]}}",
    )
    compiled = compile_text(EVERYTHING + window)
    made = fragment(compiled, "MaintenanceWindow", "w")
    assert isinstance(made, WindowFragment)
    assert made.announce_channels == ("default/mail", "default/maik")
    report = report_of(compiled, "MaintenanceWindow", "w")
    assert reasons(report.findings) == [("spec.announce.chatops[1].channelRef", "RefNotFound")]
    assert "did you mean 'mail'?" in report.findings[0].message


def test_a_person_is_told_by_their_own_mail() -> None:
    """On an e-mail channel a contact without an address has that of the Responder, though the channel has a list."""
    person = manifest(
        "Responder",
        "ada",
        "{email: ada@b.c, contacts: [{name: a, channelRef: {name: mail}}, {name: b, channelRef: {name: mail}, address: z@b.c}]}",
    )
    made = fragment(compile_text(CHANNEL + person), "Responder", "ada")
    assert [contact.address for contact in made.contacts] == ["ada@b.c", "z@b.c"]


def test_an_address_that_the_channel_is_sure_to_refuse_is_a_mistake() -> None:
    """Found before anybody has to be called; the value itself may be private and is not repeated."""
    calls = manifest(
        "NotificationChannel",
        "calls",
        "{twilio: {accountSid: A, tokenSecretRef: {name: s, key: k}, from: '+49123'}}",
    )
    contacts = (
        "[{name: a, channelRef: {name: mail}, address: nobody}, {name: b, channelRef: {name: mail}, address: a@b.c}, "
        "{name: c, channelRef: {name: calls}, address: '0301234'}, {name: d, channelRef: {name: calls}, address: '+49301'}]"
    )
    ada = manifest("Responder", "ada", f"{{contacts: {contacts}}}")
    found = report_of(compile_text(CHANNEL + calls + ada), "Responder", "ada").findings
    assert [(one.field, one.reason) for one in found] == [
        ("spec.contacts[0].address", "InvalidValue"),
        ("spec.contacts[2].address", "InvalidValue"),
    ]
    assert "0301234" not in found[1].message


def test_teams_belong_to_their_namespace() -> None:
    """A namespace that has no teams at all uses the word for something else: nothing is said there."""
    text = EVERYTHING + manifest("Integration", "b", "{type: webhook, team: sri}")
    findings = report_of(compile_text(text), "Integration", "b").findings
    assert reasons(findings) == [("spec.team", "UnknownTeam")]
    assert "did you mean 'sre'?" in findings[0].message
    elsewhere = manifest("Integration", "b", "{type: webhook, team: sri}", namespace="other")
    assert report_of(compile_text(EVERYTHING + elsewhere), "Integration", "b", "other").findings == ()


def test_gaps_are_looked_for_as_days_go_by() -> None:
    """A schedule that ends is told of two weeks before, without a change to it."""
    text = EVERYTHING.replace("start: 2026-06-01T09:00,", "start: 2026-06-01T09:00, until: 2026-07-20T09:00,")
    early = compile_text(text)
    assert report_of(early, "OnCallSchedule", "primary").findings == ()
    later = again(text, early, Micros(NOW + 6 * DAY))
    (finding,) = report_of(later, "OnCallSchedule", "primary").findings
    assert (finding.field, finding.reason) == ("spec.layers", "OnCallGap")
    assert "from 2026-07-20T09:00 UTC:" in finding.message
    assert later.reports == compile_text(text, Micros(NOW + 6 * DAY)).reports
