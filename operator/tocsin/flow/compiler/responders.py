"""Responder: how to reach a person, and by which rules."""

from __future__ import annotations

import re

from tocsin.api.conditions import Hint, Reason
from tocsin.api.durations import DAY, SECOND
from tocsin.api.responder import Contact, ResponderSpec, Rule
from tocsin.flow.compiler.findings import checked_duration, checked_zone, did_you_mean
from tocsin.flow.compiler.references import Scope, reach, secret
from tocsin.flow.compiler.standing import Standing
from tocsin.flow.model import ContactFragment, ResponderFragment, RuleFragment

_WAIT = (SECOND, DAY)

_ADDRESSES = {
    "email": (re.compile(r"[^\s@,;<>]+@[^\s@,;<>]+"), "an e-mail address alone, as in ann@example.com"),
    "twilio": (
        re.compile(r"[+][1-9][0-9]{2,14}"),
        "a phone number with + and country code, as in +4930123456",
    ),
}
"""Types of channel that are sure to refuse anything else."""


def responder_of(spec: ResponderSpec, scope: Scope) -> ResponderFragment:
    username = spec.username or scope.owner.name
    zone = checked_zone(spec.time_zone, "spec.timeZone", scope.findings, ", so UTC is used")
    contacts = tuple(
        _contact(contact, f"spec.contacts[{index}]", spec.email or "", scope)
        for index, contact in enumerate(spec.contacts)
    )
    if not contacts:
        message = "there is no contact, so this person is never told anything: add one under spec.contacts"
        scope.findings.warn("spec.contacts", Hint.NO_CONTACTS, message)
    return ResponderFragment(
        namespace=scope.owner.namespace,
        name=scope.owner.name,
        display_name=spec.display_name or username,
        username=username,
        email=spec.email or "",
        time_zone=zone or "UTC",
        teams=tuple(sorted(set(spec.teams))),
        contacts=contacts,
        default=_rules(spec, spec.rules.default, "spec.rules.default", scope),
        important=_rules(spec, spec.rules.important, "spec.rules.important", scope),
    )


def _contact(contact: Contact, field: str, email: str, scope: Scope) -> ContactFragment:
    """On an e-mail channel a contact without an address has the person's own."""
    channel = reach(contact.channel_ref, "NotificationChannel", f"{field}.channelRef", scope)
    address_secret = None
    if contact.address_secret_ref is not None:
        until = "nothing reaches this person through this contact"
        address_secret = secret(contact.address_secret_ref, f"{field}.addressSecretRef", scope, until)
    address = contact.address
    if channel.standing is not None and address:
        _check_form(address, channel.standing.type, field, scope)
    if channel.standing is not None and not address and address_secret is None:
        address = email if channel.standing.type == "email" else ""
        if not address:
            _check_reachable(channel.name, channel.standing, field, scope)
    return ContactFragment(
        name=contact.name, channel=channel.name, address=address, address_secret=address_secret
    )


def _check_reachable(name: str, channel: Standing, field: str, scope: Scope) -> None:
    if channel.has_place:
        return
    scope.findings.error(
        f"{field}.address",
        Reason.REF_UNSUITABLE,
        f"NotificationChannel {name} ({channel.type}) needs the person's address: nothing reaches them through "
        "this contact until there is one",
    )


def _check_form(address: str, kind: str, field: str, scope: Scope) -> None:
    form, words = _ADDRESSES.get(kind, (None, ""))
    if form is not None and form.fullmatch(address) is None:
        scope.findings.error(
            f"{field}.address", Reason.INVALID_VALUE, f"is not {words}: nothing reaches this person there"
        )


def _rules(
    spec: ResponderSpec, rules: tuple[Rule, ...], field: str, scope: Scope
) -> tuple[RuleFragment, ...]:
    """What cannot work is left out; the rules after it apply."""
    names = [contact.name for contact in spec.contacts]
    found: list[RuleFragment] = []
    for index, rule in enumerate(rules):
        at = f"{field}[{index}]"
        if rule.wait is not None:
            wait = checked_duration(rule.wait, f"{at}.wait", _WAIT, scope.findings)
            found += [] if wait is None else [RuleFragment(wait=wait)]
        elif rule.notify in names:
            found.append(RuleFragment(contact=rule.notify))
        else:
            hint = did_you_mean(rule.notify or "", names)
            message = f"there is no contact {rule.notify!r} in spec.contacts, so this rule is left out{hint}"
            scope.findings.error(f"{at}.notify", Reason.INVALID_VALUE, message)
    return tuple(found)
