"""Routes prepared for evaluation, and the choice among them: the first whose conditions all hold, else the default.

Inside one route label matchers are tested first, then the template, then the regex; the first that does not hold
ends the route. What fails counts as false, is recorded, and the next route is tried (alert-flow R-RTE-5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tocsin.flow.decision import TemplateError
from tocsin.flow.matchers import InvalidRegex, LabelMatchers, PayloadText, alternatives, compile_regex
from tocsin.flow.model import RouteFragment, Target
from tocsin.flow.rendering import Prepared, failure_of
from tocsin.flow.route_index import Atom, RouteIndex, build_index, condition_atoms, label_atom
from tocsin.flow.templates import TemplateProblem, Variables, comparison, is_true

TRUE = frozenset({"True", "true", "1", "ok"})
"""The commonest true results; `is_true` decides all others."""

FALSE = frozenset({"False", "false", "0", ""})
"""The commonest false ones."""

MOST_ERRORS = 20
"""Failed templates recorded for one alert; further ones are only counted."""


def holds(text: str) -> bool:
    """Whether the result of a condition counts as true (alert-flow R-TPL-15)."""
    return text in TRUE or (text not in FALSE and is_true(text))


@dataclass(frozen=True, slots=True, eq=False)
class Regex:
    """`find` is None if RE2 does not take the pattern; then `problem` says why and the route never matches."""

    pattern: str
    find: Any
    problem: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """One AlertRoute, shared by all integrations that it is attached to."""

    name: str
    """`namespace/name`."""
    fragment: RouteFragment
    target: Target
    matchers: LabelMatchers | None
    template: Prepared | None
    regex: Regex | None
    atoms: tuple[Atom, ...]
    """What the route index may file it under."""

    def matches(self, trial: Trial) -> bool:
        """Pure; failures are added to `trial.errors`."""
        matchers = self.matchers
        if matchers is not None:
            if not matchers.hold(trial.labels):
                if matchers.problem:
                    trial.failed(self, "syntax", matchers.problem)
                return False
        elif self.template is None and self.regex is None:
            return False
        if self.template is not None:
            try:
                text = self.template.render(trial.variables)
            except TemplateProblem as problem:
                trial.errors.append(failure_of(f"route {self.name}", problem))
                return False
            if text not in TRUE and (text in FALSE or not is_true(text)):
                return False
        return self.regex is None or self._found(self.regex, trial)

    def _found(self, regex: Regex, trial: Trial) -> bool:
        if regex.find is None:
            trial.failed(self, "syntax", regex.problem)
            return False
        text = trial.text.text()
        if trial.text.too_deep:
            trial.failed(self, "limit", "the payload is nested too deeply to be searched")
            return False
        return regex.find(text) is not None


class Trial:
    """One alert in search of its route. `labels` are all computed labels, before the cut (alert-flow R-RTE-7)."""

    __slots__ = ("errors", "labels", "payload", "text", "variables")

    def __init__(self, variables: Variables, errors: list[TemplateError]) -> None:
        self.variables = variables
        self.payload = variables.payload
        self.labels = variables.labels
        self.errors = errors
        self.text = PayloadText(variables.payload)

    def failed(self, route: Route, kind: str, message: str) -> None:
        self.errors.append(TemplateError(slot=f"route {route.name}", kind=kind, message=message))


@dataclass(frozen=True, slots=True, eq=False)
class RouteTable:
    """The routes of one integration in order of precedence, with their index."""

    routes: tuple[Route, ...]
    index: RouteIndex

    def choose(self, trial: Trial) -> Route | None:
        """The first route that matches; None means the default route."""
        if self.routes:
            routes = self.routes
            for position in self.index.candidates(trial.payload, trial.labels):
                route = routes[position]
                if route.matches(trial):
                    return route
        return None

    def choose_in_order(self, trial: Trial) -> Route | None:
        """The same without the index: what `choose` has to agree with."""
        return next((route for route in self.routes if route.matches(trial)), None)


def route_table(routes: tuple[Route, ...]) -> RouteTable:
    return RouteTable(routes, build_index(route.atoms for route in routes))


def prepare_route(fragment: RouteFragment) -> Route:
    """Never raises: what does not parse always fails, and says so on every alert that tries it."""
    matchers = LabelMatchers(fragment.matchers) if fragment.matchers else None
    template = Prepared(fragment.template) if fragment.template is not None else None
    regex = _regex(fragment.regex) if fragment.regex else None
    return Route(
        name=f"{fragment.namespace}/{fragment.name}",
        fragment=fragment,
        target=fragment.target,
        matchers=matchers,
        template=template,
        regex=regex,
        atoms=_atoms(matchers, template),
    )


def _regex(pattern: str) -> Regex:
    try:
        return Regex(pattern, compile_regex(pattern).search)
    except InvalidRegex as problem:
        return Regex(pattern, None, str(problem))


def _atoms(matchers: LabelMatchers | None, template: Prepared | None) -> tuple[Atom, ...]:
    """A route with a broken matcher fails on every alert that reaches it, so it is never left out."""
    atoms: list[Atom] = []
    if matchers is not None:
        if matchers.problem:
            return ()
        for matcher in matchers.matchers:
            values: tuple[str, ...] | None = None
            if matcher.operator == "=":
                values = (matcher.value,)
            elif matcher.operator == "=~":
                values = alternatives(matcher.value)
            atom = None if values is None else label_atom(matcher.key, values)
            if atom is not None:
                atoms.append(atom)
    if template is not None and template.template is not None:
        atoms.extend(condition_atoms(comparison(template.template)))
    return tuple(atoms)
