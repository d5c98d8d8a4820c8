"""AlertTemplate: the slots that it gives."""

from __future__ import annotations

from tocsin.api.alerttemplate import AlertTemplate
from tocsin.api.common import Identity
from tocsin.flow.compiler.findings import Findings
from tocsin.flow.compiler.reading import Reader
from tocsin.flow.compiler.references import Scope
from tocsin.flow.compiler.slots import (
    TemplateSet,
    check_slots,
    fill_from_config_maps,
    grouping_hints,
    inline_slots,
)
from tocsin.flow.compiler.texts import check_delimiters


def compile_template(identity: Identity, template: AlertTemplate, reader: Reader) -> TemplateSet:
    """Inline texts and those of ConfigMaps; a text that does not parse stays and always fails."""
    spec, findings = template.spec, Findings()
    delimiters = check_delimiters(spec.delimiters, findings)
    inline = inline_slots(spec.templates, identity, delimiters)
    broken = check_slots(inline, findings)
    scope = Scope(identity, reader, findings)
    filled, also_broken = fill_from_config_maps(spec.templates_from, inline, delimiters, scope)
    slots = {**filled, **inline}
    findings.add(grouping_hints(slots))
    return TemplateSet(slots=slots, broken=broken | also_broken, findings=findings.done())
