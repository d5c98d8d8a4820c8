"""The full account of one decision, for people: every label, template, route and window, and why.

Recomputed on demand from payload, moment and flow by the same functions that decided, so it never tells another
story than the Outcome that was stored. Bounded in size; redacted values never appear in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from tocsin.flow.decision import Outcome, TemplateError
from tocsin.flow.evaluator import NOTHING, Evaluator, masked_error
from tocsin.flow.labels import MOST_LABELS, key_problem, parse_object, text_form, value_problem
from tocsin.flow.matchers import LabelMatchers
from tocsin.flow.model import Micros
from tocsin.flow.outcome import shortened
from tocsin.flow.redaction import NO_MASK, Mask
from tocsin.flow.rendering import Prepared, failure_of, render_text
from tocsin.flow.routing import Route, Trial, holds
from tocsin.flow.templates import TemplateProblem, Variables

TEXT_LIMIT = 500
"""Characters of any rendered text in a trace."""

MATCHER_LIMIT = 250
"""Characters of a matcher as written."""

MOST_ROUTES = 200
"""Routes listed; of more that were tried the first and the last are."""

MOST_LABELS_TRACED = 200
_MOST_NOTES = 10


class TemplateTrace(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One rendering. `result` is cut to 500 characters; `undefined` are the names that had no value."""

    slot: str
    origin: str
    result: str = ""
    error: TemplateError | None = None
    undefined: tuple[str, ...] = ()


class LabelTrace(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One label of one source, in order of application. `fate`: kept, overridden, cut (over the limit), or dropped."""

    key: str
    source: str
    fate: str
    value: str = ""
    reason: str = ""
    """Why it was dropped, as in `decision.DroppedLabel`."""


class MatcherTrace(msgspec.Struct, frozen=True, kw_only=True):
    """`matcher` as written, `actual` the label's value ("" if there is none)."""

    matcher: str
    actual: str
    holds: bool


class RouteTrace(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One route that was tried. `reason` says in words why it matched or did not."""

    route: str
    matched: bool
    reason: str
    matchers: tuple[MatcherTrace, ...] = ()
    template: TemplateTrace | None = None
    regex: str = ""


class WindowTrace(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`reason`: in force, not open now, labels do not match, or what is wrong with the window."""

    window: str
    mode: str
    in_force: bool
    reason: str
    start: Micros | None = None
    end: Micros | None = None
    matchers: tuple[MatcherTrace, ...] = ()


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """`outcome` is what was decided; after `reconcile` the stored one, with `differences` to the recomputed one."""

    integration: str
    now: Micros
    outcome: Outcome
    labels: tuple[LabelTrace, ...]
    templates: tuple[TemplateTrace, ...]
    routes: tuple[RouteTrace, ...]
    """Those tried, in order, up to the one that matched."""
    routes_omitted: int
    """Tried but not listed, between the first and the last ones."""
    routes_after: int
    """Behind the one that matched, so not tried."""
    windows: tuple[WindowTrace, ...]
    differences: tuple[str, ...] = ()


def reconcile(stored: Outcome, trace: Trace) -> Trace:
    """What happened is what was stored; where a newer Tocsin would decide differently, say so."""
    differences = tuple(
        f"{field}: decided {_shown(before)}, today {_shown(after)}"
        for field in Outcome.__struct_fields__
        if (before := getattr(stored, field)) != (after := getattr(trace.outcome, field))
    )
    return msgspec.structs.replace(trace, outcome=stored, differences=differences)


def _shown(value: object) -> str:
    text = value if isinstance(value, str | bool) else msgspec.json.encode(value).decode()
    return shortened(repr(text) if isinstance(text, str) and isinstance(value, str) else str(text), 200)


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What `evaluate` was called with."""

    payload: Any
    now: Micros
    demo: bool = False
    notes: tuple[str, ...] = ()


def explain(evaluator: Evaluator, integration: str, request: Request) -> Trace:
    """Pure, and as costly as the number of routes."""
    payload, now = request.payload, request.now
    decision = evaluator.evaluate(payload, now, demo=request.demo, notes=request.notes)
    mask = evaluator.redactor.mask(payload) if evaluator.redactor else NO_MASK
    variables = Variables(payload=payload, now=now)
    found = evaluator.labels.collect(variables)
    labels = found.labels
    teller = _Teller(variables, mask)
    label_traces = tuple(_labels(evaluator, teller, labels))
    variables.labels = labels
    templates = tuple(_templates(evaluator, teller, decision.source_link))
    variables.extra = {}
    tried, after = _tried(evaluator, teller)
    middle = max(0, len(tried) - MOST_ROUTES)
    listed = tried[: MOST_ROUTES // 2] + tried[MOST_ROUTES // 2 + middle :]
    return Trace(
        integration=integration,
        now=now,
        outcome=decision.outcome,
        labels=label_traces,
        templates=templates,
        routes=tuple(listed),
        routes_omitted=middle,
        routes_after=after,
        windows=tuple(_windows(evaluator, now, labels, mask)),
    )


class _Teller:
    """Renders one template at a time and writes down what came of it."""

    def __init__(self, variables: Variables, mask: Mask) -> None:
        self.variables = variables
        self.mask = mask

    def tell(self, slot: str, template: Prepared, variables: Variables | None = None) -> TemplateTrace:
        return self.render(slot, template, variables)[1]

    def render(
        self, slot: str, template: Prepared, variables: Variables | None = None
    ) -> tuple[str | None, TemplateTrace]:
        """The text as evaluation sees it (None: it failed), and its account."""
        variables = variables or self.variables
        variables.notes = []
        text: str | None = None
        error: TemplateError | None = None
        try:
            text = render_text(template, variables)
        except TemplateProblem as problem:
            error = masked_error(failure_of(slot, problem), self.mask)
        return text, TemplateTrace(
            slot=slot,
            origin=template.source.origin,
            result="" if text is None else shortened(self.mask.text(text), TEXT_LIMIT),
            error=error,
            undefined=tuple(self.mask.text(note) for note in dict.fromkeys(variables.notes))[:_MOST_NOTES],
        )


def _labels(evaluator: Evaluator, teller: _Teller, labels: Mapping[str, str]) -> Iterator[LabelTrace]:
    """Every label of every source; the last one that sets a key wins it."""
    applied = list(_applied(evaluator, teller))
    kept = {key for key, _ in sorted(labels.items())[:MOST_LABELS]}
    winners = {key: at for at, (key, _, _, reason) in enumerate(applied) if not reason}
    for at, (key, value, source, reason) in enumerate(applied[:MOST_LABELS_TRACED]):
        won = winners.get(key) == at
        yield LabelTrace(
            key=shortened(teller.mask.text(key), TEXT_LIMIT),
            source=source,
            fate="dropped" if reason else "overridden" if not won else "kept" if key in kept else "cut",
            value="" if reason else shortened(teller.mask.text(value), TEXT_LIMIT),
            reason=reason,
        )


def _applied(evaluator: Evaluator, teller: _Teller) -> Iterator[tuple[str, str, str, str]]:
    """(key, value, source, reason for dropping or "") in order of application."""
    plan = evaluator.labels
    for key, value, source in plan.fixed_sources:
        yield key, value, source, ""
    for dynamic in plan.dynamic:
        rendered, _ = teller.render(dynamic.source, dynamic.template)
        reason = "template-error" if rendered is None else value_problem(rendered)
        yield dynamic.key, rendered or "", dynamic.source, reason
    for extraction in plan.extractions:
        rendered, _ = teller.render(extraction.source, extraction.template)
        pairs = None if rendered is None else parse_object(rendered)
        if pairs is None:
            yield "", "", extraction.source, "template-error" if rendered is None else "not-an-object"
            continue
        for key, raw in pairs.items():
            text = text_form(raw)
            reason = key_problem(key) or ("bad-type" if text is None else value_problem(text))
            yield key, text or "", extraction.source, reason


def _templates(evaluator: Evaluator, teller: _Teller, source_link: str) -> Iterator[TemplateTrace]:
    """In order of evaluation; a type's default only where the user's own template failed."""
    behaviour = evaluator.behaviour
    variables = teller.variables
    labels, variables.labels = variables.labels, {}
    for dynamic in evaluator.labels.dynamic:
        yield teller.tell(f"label {dynamic.key}", dynamic.template)
    for extraction in evaluator.labels.extractions:
        yield teller.tell(extraction.source, extraction.template)
    variables.labels = labels
    if behaviour.grouping is not None:
        told = teller.tell("groupingId", behaviour.grouping)
        yield told
        if told.error is not None and behaviour.grouping_default is not None:
            yield teller.tell("groupingId (type default)", behaviour.grouping_default)
    for slot, template in (("acknowledge", behaviour.acknowledge), ("resolve", behaviour.resolve)):
        if template is not None:
            yield teller.tell(slot, template)
    shown = evaluator.shown(variables, teller.mask) if evaluator.redactor else variables
    shown.extra = {"integration_name": evaluator.name}
    if behaviour.source_link is not None:
        yield teller.tell("sourceLink", behaviour.source_link, shown)
    shown.extra = {"integration_name": evaluator.name, "source_link": source_link}
    for slot, template in behaviour.titles:
        told = teller.tell(slot, template, shown)
        yield told
        if told.error is None and told.result.strip() not in NOTHING:
            return


def _tried(evaluator: Evaluator, teller: _Teller) -> tuple[list[RouteTrace], int]:
    """Routes in order, without the index, up to the first that matches; and how many come behind it."""
    trial = Trial(teller.variables, [])
    tried: list[RouteTrace] = []
    routes = evaluator.routes.routes
    for position, route in enumerate(routes):
        account = _route(route, trial, teller)
        tried.append(account)
        if account.matched:
            return tried, len(routes) - position - 1
    return tried, 0


def _route(route: Route, trial: Trial, teller: _Teller) -> RouteTrace:
    """`Route.matches` decides; the rest tells how far the route got."""
    trial.errors = []
    matched = route.matches(trial)
    matchers = _matchers(route.matchers, trial.labels, teller.mask)
    reason = "matched"
    template: TemplateTrace | None = None
    regex = ""
    if route.matchers is not None and not route.matchers.hold(trial.labels):
        reason = (
            f"broken matcher {route.matchers.problem}"
            if route.matchers.problem
            else "label matchers do not hold"
        )
    elif route.matchers is None and route.template is None and route.regex is None:
        reason = "no condition that could hold"
    else:
        if route.template is not None:
            text, template = teller.render(f"route {route.name}", route.template)
            if text is None:
                reason = "template failed"
            elif not holds(text):
                reason = "template is empty" if not text.strip() else "template is not true"
        if route.regex is not None and (template is None or reason == "matched"):
            regex = (
                f"not tried: {route.regex.problem}"
                if route.regex.find is None
                else "found"
                if matched
                else "not found"
            )
            if not matched:
                reason = "regex does not compile" if route.regex.find is None else "regex not found"
                if trial.text.too_deep:
                    reason = "the payload is nested too deeply to be searched"
    return RouteTrace(
        route=route.name, matched=matched, reason=reason, matchers=matchers, template=template, regex=regex
    )


def _matchers(
    matchers: LabelMatchers | None, labels: Mapping[str, str], mask: Mask
) -> tuple[MatcherTrace, ...]:
    if matchers is None:
        return ()
    return tuple(
        MatcherTrace(
            matcher=f'{matcher.key}{matcher.operator}"{matcher.value}"',
            actual=mask.text(actual),
            holds=holds_,
        )
        for matcher, actual, holds_ in matchers.each(labels)
    )


def _windows(
    evaluator: Evaluator, now: Micros, labels: Mapping[str, str], mask: Mask
) -> Iterator[WindowTrace]:
    for window in evaluator.windows:
        occurrence = window.schedule.occurrence_at(now) if window.schedule is not None else None
        fits = window.matchers is None or window.matchers.hold(labels)
        if window.schedule is None:
            reason = window.problem
        elif occurrence is None:
            reason = "not open now"
        else:
            reason = "in force" if fits else "label matchers do not hold"
        yield WindowTrace(
            window=window.name,
            mode=window.fragment.mode,
            in_force=occurrence is not None and fits,
            reason=reason,
            start=occurrence.start if occurrence else None,
            end=occurrence.end if occurrence else None,
            matchers=_matchers(window.matchers, labels, mask),
        )
