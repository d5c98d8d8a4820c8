"""LabelRule: static, dynamic and extracted labels."""

from __future__ import annotations

from collections.abc import Iterable

from tocsin.api.common import Identity
from tocsin.api.conditions import Hint
from tocsin.api.labelrule import LabelRule
from tocsin.flow.compiler.findings import Findings
from tocsin.flow.compiler.local import Local, accepted_reason
from tocsin.flow.compiler.texts import check_delimiters, check_template
from tocsin.flow.model import LabelRuleFragment, TemplateText


def compile_rule(identity: Identity, rule: LabelRule) -> Local:
    """A template that is invalid stays in the fragment: the evaluator counts it as always failing."""
    spec, findings = rule.spec, Findings()
    delimiters = check_delimiters(spec.delimiters, findings)
    dynamic: list[tuple[str, TemplateText]] = []
    for index, label in enumerate(spec.dynamic):
        field = f"spec.dynamic[{index}].template"
        template = TemplateText(text=label.template, delimiters=delimiters, origin=f"{identity} {field}")
        check_template(template, field, findings)
        dynamic.append((label.key, template))
    extract = None
    if spec.extract:
        extract = TemplateText(text=spec.extract, delimiters=delimiters, origin=f"{identity} spec.extract")
        check_template(extract, "spec.extract", findings)
    warn_of_repeats((label.key for label in spec.static), "spec.static", findings)
    warn_of_repeats((label.key for label in spec.dynamic), "spec.dynamic", findings)
    return Local(
        fragment=LabelRuleFragment(
            namespace=identity.namespace,
            name=identity.name,
            static=tuple((label.key, label.value) for label in spec.static),
            dynamic=tuple(dynamic),
            extract=extract,
        ),
        reason=accepted_reason(suspend=spec.suspend),
        findings=findings.done(),
        priority=spec.priority,
    )


def warn_of_repeats(keys: Iterable[str], field: str, findings: Findings) -> None:
    """One warning for each key that an earlier entry of the same list has."""
    seen: dict[str, int] = {}
    for index, key in enumerate(keys):
        if key in seen:
            findings.warn(
                f"{field}[{index}].key",
                Hint.DUPLICATE_LABEL,
                f"key {key!r} is also that of {field}[{seen[key]}]; the last one wins",
            )
        seen.setdefault(key, index)
