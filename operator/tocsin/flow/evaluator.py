"""What one integration makes of one alert: labels, then title, grouping and conditions, then route, then windows.

Pure: equal payload, moment and flow give an equal Decision. This is the hot path of the receiver, so everything that
does not depend on the alert is prepared at link time, and what only people want to know is left to `explain`.
No template can lose an alert: every failure has a defined substitute and is recorded (DESIGN section 5).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace as replace_struct

from tocsin.flow.decision import Decision, DroppedLabel, Grouping, Outcome, TemplateError
from tocsin.flow.labels import Found, LabelPlan
from tocsin.flow.model import DEFAULT_ROUTE, Micros, Target
from tocsin.flow.outcome import bounded, shortened
from tocsin.flow.redaction import Mask, Redactor
from tocsin.flow.rendering import Prepared, failure_of, render_text
from tocsin.flow.routing import MOST_ERRORS, RouteTable, Trial, holds
from tocsin.flow.templates import TemplateProblem, Variables
from tocsin.flow.windows import Window, windows_in_force

TITLE_LIMIT = 500
"""Characters of a title, the two dots of a cut one included."""

LINK_LIMIT = 2000
"""Characters of a source link; a longer one is left out."""

FALLBACK_KEY = b"\0" * 32
"""Grouping key of alerts whose grouping templates all failed. No text has this SHA-256."""

NOT_A_LINK = "source link left out: no http or https URL"
MOST_DROPPED = 20
MOST_NOTES = 10
_LONGEST_SHOWN_KEY = 64
_NO_KEY = b""
_NO_EXTRA: Mapping[str, object] = {}
NOTHING = frozenset({"", "None"})
"""Texts that mean that there is none (alert-flow R-TPL-17, R-TPL-18)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Behaviour:
    """The templates that decide, each the user's own or the type's default (alert-flow R-TPL-3); None: there is none.

    `grouping_default` is the type's grouping id where the user set another one. `titles` are tried in order.
    """

    grouping: Prepared | None
    grouping_default: Prepared | None
    acknowledge: Prepared | None
    resolve: Prepared | None
    source_link: Prepared | None
    titles: tuple[tuple[str, Prepared], ...]
    fallback_title: str


Identified = tuple[Grouping, str, bytes]
"""How the alert is grouped, the grouping id as text, and the key. Plain tuples: the hot path makes one per alert."""

_BY_ID = Grouping.BY_ID
_ALONE: Identified = (Grouping.ALONE, "", b"")
_FALLBACK: Identified = (Grouping.FALLBACK, "", FALLBACK_KEY)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluator:
    """One integration, prepared. `name` is what templates see as `integration_name`."""

    name: str
    labels: LabelPlan
    behaviour: Behaviour
    routes: RouteTable
    windows: tuple[Window, ...]
    redactor: Redactor
    default_target: Target
    source_resolve: bool

    def evaluate(
        self, payload: Any, now: Micros, *, demo: bool = False, notes: tuple[str, ...] = ()
    ) -> Decision:
        """`payload` is not changed. A demo alert joins nothing and signals nothing (alert-flow R-DEM-4)."""
        variables = Variables(payload=payload, now=now)
        found = self.labels.collect(variables)
        variables.labels = found.labels
        errors = found.errors
        behaviour = self.behaviour
        grouping, text, key = self.identify(variables, errors)
        acknowledge = signal("acknowledge", behaviour.acknowledge, variables, errors)
        resolve = signal("resolve", behaviour.resolve, variables, errors)
        if demo:
            grouping, key = Grouping.ALONE, _NO_KEY
            acknowledge = resolve = False
        elif key is FALLBACK_KEY:
            acknowledge = resolve = False
        mask = self.redactor.mask(payload) if self.redactor else None
        shown = variables if mask is None else self.shown(variables, mask)
        title, link, not_a_link = self.display(shown, errors)
        noticed = [*notes, *variables.notes]
        if not_a_link:
            noticed.append(NOT_A_LINK)
        variables.extra = _NO_EXTRA
        variables.notes = []
        route = self.routes.choose(Trial(variables, errors))
        kept = self.labels.kept(found)
        windows = windows_in_force(self.windows, now, found.labels) if self.windows else ()
        if mask is not None:
            errors, noticed = _hide(found, noticed, mask)
            kept = tuple((name, found.labels[name]) for name, _ in kept if name in found.labels)
            text = mask.text(text)
        outcome = Outcome(
            route=DEFAULT_ROUTE if route is None else route.name,
            title=title,
            grouping=grouping,
            grouping_id=text,
            acknowledge=acknowledge,
            resolve=resolve and self.source_resolve,
            source_link=link,
            errors=_limited_errors(errors, noticed) if errors else (),
            dropped=_limited_drops(found.dropped, noticed) if found.dropped else (),
            windows=tuple([window.window for window in windows]) if windows else (),
            notes=tuple(dict.fromkeys(noticed))[:MOST_NOTES] if noticed else (),
        )
        return Decision(
            route=outcome.route,
            target=self.default_target if route is None else route.target,
            title=title,
            grouping=grouping,
            grouping_id=text,
            grouping_key=key,
            acknowledge=acknowledge,
            resolve=outcome.resolve,
            source_link=link,
            labels=found.labels,
            kept_labels=kept,
            windows=windows,
            outcome=bounded(outcome),
        )

    def identify(self, variables: Variables, errors: list[TemplateError]) -> Identified:
        """The grouping id of an alert, used as it is: not trimmed, case-sensitive (alert-flow R-GRP-1).

        Empty means a group of its own. If the user's template fails, the type's counts, and if that gives nothing
        either, all such alerts of a route share one group: a broken template never makes a group per alert.
        """
        template = self.behaviour.grouping
        if template is None:
            return _ALONE
        try:
            text = render_text(template, variables)
        except TemplateProblem as problem:
            errors.append(failure_of("groupingId", problem))
            return self._identify_by_default(variables, errors)
        if not text:
            return _ALONE
        return _BY_ID, text, hashlib.sha256(text.encode()).digest()

    def _identify_by_default(self, variables: Variables, errors: list[TemplateError]) -> Identified:
        template = self.behaviour.grouping_default
        if template is not None:
            try:
                text = render_text(template, variables)
            except TemplateProblem as problem:
                errors.append(failure_of("groupingId (type default)", problem))
            else:
                if text:
                    return _BY_ID, text, hashlib.sha256(text.encode()).digest()
        return _FALLBACK

    def display(self, variables: Variables, errors: list[TemplateError]) -> tuple[str, str, bool]:
        """Title, source link, and whether a link was left out as it is none.

        The link is rendered first, so that the title may use it (alert-flow R-TPL-17).
        """
        behaviour = self.behaviour
        link = ""
        refused = False
        if behaviour.source_link is not None:
            variables.extra = {"integration_name": self.name}
            try:
                text = render_text(behaviour.source_link, variables)
            except TemplateProblem as problem:
                errors.append(failure_of("sourceLink", problem))
            else:
                link = web_link(text)
                refused = not link and text.strip() not in NOTHING
        variables.extra = {"integration_name": self.name, "source_link": link}
        return self._title(variables, errors), link, refused

    def _title(self, variables: Variables, errors: list[TemplateError]) -> str:
        for slot, template in self.behaviour.titles:
            try:
                text = render_text(template, variables).strip()
            except TemplateProblem as problem:
                errors.append(failure_of(slot, problem))
                continue
            if text not in NOTHING:
                return text if len(text) <= TITLE_LIMIT else shortened(text, TITLE_LIMIT)
        return self.behaviour.fallback_title

    def shown(self, variables: Variables, mask: Mask) -> Variables:
        """What display templates see instead: the redacted payload and masked labels."""
        return Variables(
            payload=self.redactor.redact(variables.payload),
            labels=mask.labels(variables.labels),
            now=variables.now,
            notes=variables.notes,
        )


def signal(slot: str, template: Prepared | None, variables: Variables, errors: list[TemplateError]) -> bool:
    """A condition of the source; a failed one is false (alert-flow R-SIG-1)."""
    if template is None:
        return False
    try:
        return holds(template.render(variables))
    except TemplateProblem as problem:
        errors.append(failure_of(slot, problem))
        return False


def web_link(text: str) -> str:
    """An http or https URL as it may be shown and clicked, or "": never `javascript:`, never an error's text.

    Blanks inside are written as %20, which is what senders mean; other white space makes it no link.
    """
    link = text.strip()
    if not link.startswith(("http://", "https://")) and not link[:8].lower().startswith(
        ("http://", "https://")
    ):
        return ""
    if len(link) > LINK_LIMIT or not link.isprintable():
        return ""
    return link.replace(" ", "%20") if " " in link else link


def masked_error(error: TemplateError, mask: Mask) -> TemplateError:
    return replace_struct(error, message=mask.message(error.message))


def _hide(found: Found, noticed: list[str], mask: Mask) -> tuple[list[TemplateError], list[str]]:
    """Masks what was found, in place, and gives the masked errors and notes.

    A label whose key holds a redacted value is dropped.
    """
    found.dropped = [
        DroppedLabel(key=mask.message(label.key), source=label.source, reason=label.reason)
        for label in found.dropped
    ]
    found.dropped.extend(
        DroppedLabel(key=mask.text(key), source="", reason="redacted")
        for key in found.labels
        if mask.hides(key)
    )
    found.labels = mask.labels(found.labels)
    return [masked_error(error, mask) for error in found.errors], [mask.text(note) for note in noticed]


def _limited_errors(errors: list[TemplateError], noticed: list[str]) -> tuple[TemplateError, ...]:
    if len(errors) > MOST_ERRORS:
        noticed.insert(0, f"{len(errors) - MOST_ERRORS} more template errors")
    return tuple(errors[:MOST_ERRORS])


def _limited_drops(dropped: list[DroppedLabel], noticed: list[str]) -> tuple[DroppedLabel, ...]:
    if len(dropped) > MOST_DROPPED:
        noticed.insert(0, f"{len(dropped) - MOST_DROPPED} more dropped labels")
    return tuple(
        [
            label
            if len(label.key) <= _LONGEST_SHOWN_KEY
            else replace_struct(label, key=shortened(label.key, _LONGEST_SHOWN_KEY))
            for label in dropped[:MOST_DROPPED]
        ]
    )
