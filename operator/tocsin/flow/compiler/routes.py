"""AlertRoute: its conditions. What it leads to comes with its links."""

from __future__ import annotations

from tocsin.api.alertroute import AlertRoute
from tocsin.api.common import Identity
from tocsin.api.conditions import Hint, Reason
from tocsin.flow.compiler.conditions import conditions_of, contradiction
from tocsin.flow.compiler.findings import Findings
from tocsin.flow.compiler.local import Local, accepted_reason
from tocsin.flow.compiler.texts import (
    check_delimiters,
    check_matchers,
    check_regex,
    check_template,
    examine,
)
from tocsin.flow.model import RouteFragment, TemplateText
from tocsin.flow.templates import is_true

TEMPLATE_FIELD = "spec.match.template"


def compile_route(identity: Identity, route: AlertRoute) -> Local:
    """A template or expression that is invalid stays in the fragment: the evaluator counts it as always failing."""
    spec, findings = route.spec, Findings()
    delimiters = check_delimiters(spec.delimiters, findings)
    match = spec.match
    if not (match.template or match.labels or match.regex):
        findings.error("spec.match", Reason.INVALID, "give at least one of template, labels and regex")
        return Local(reason=Reason.INVALID, findings=findings.done())
    template = (
        TemplateText(text=match.template, delimiters=delimiters, origin=f"{identity} {TEMPLATE_FIELD}")
        if match.template
        else None
    )
    fragment = RouteFragment(
        namespace=identity.namespace,
        name=identity.name,
        priority=spec.priority,
        template=template,
        matchers=match.labels,
        regex=match.regex,
    )
    sound = _check(fragment, findings)
    _hint(fragment, findings)
    examined = None if template is None else examine(template.text, template.delimiters)
    return Local(
        fragment=fragment,
        reason=accepted_reason(suspend=spec.suspend),
        findings=findings.done(),
        priority=spec.priority,
        conditions=conditions_of(fragment, examined, broken=not sound),
    )


def _check(fragment: RouteFragment, findings: Findings) -> bool:
    template = fragment.template
    parts = (
        template is None or check_template(template, TEMPLATE_FIELD, findings, said="no-delimiter"),
        not fragment.regex or check_regex(fragment.regex, "spec.match.regex", findings),
        check_matchers(fragment.matchers, "spec.match.labels", findings),
    )
    return all(parts)


def _hint(fragment: RouteFragment, findings: Findings) -> None:
    """Conditions that no alert can meet, where that is certain."""
    if fragment.template is not None:
        constant = examine(fragment.template.text, fragment.template.delimiters).constant
        if constant is not None and not is_true(constant):
            findings.warn(
                TEMPLATE_FIELD,
                Hint.NEVER_MATCHES,
                f"always prints {constant.strip()[:60]!r}, which is none of true, 1 and ok; "
                "a condition needs braces, as in {{ payload.severity == 'critical' }}",
            )
    both = contradiction(fragment.matchers)
    if both is not None:
        first, second = both
        findings.warn(
            f"spec.match.labels[{second}]",
            Hint.NEVER_MATCHES,
            f"no value of {fragment.matchers[second].key} meets this and spec.match.labels[{first}]",
        )
