"""The texts of template slots: inline, from ConfigMaps, and from AlertTemplates, with their origins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter

from tocsin.api.common import (
    TEMPLATE_SLOTS,
    Appearance,
    Finding,
    Identity,
    Severity,
    TemplateFrom,
    Templates,
)
from tocsin.api.conditions import Hint, Reason
from tocsin.flow.compiler.findings import Findings, did_you_mean
from tocsin.flow.compiler.references import Scope
from tocsin.flow.compiler.texts import check_template, examine
from tocsin.flow.model import TemplateText

Slots = Mapping[str, TemplateText]


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateSet:
    """What one AlertTemplate gives to the Integrations that refer to it."""

    slots: Slots
    broken: frozenset[str]
    findings: tuple[Finding, ...] = ()


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


_ATTRIBUTES = {slot: attrgetter(_snake(slot)) for slot in TEMPLATE_SLOTS}
_BEHAVIOUR = tuple(slot for slot in TEMPLATE_SLOTS if not slot.startswith("appearance."))
_NO_APPEARANCE = Appearance()


def inline_slots(templates: Templates, owner: Identity, delimiters: tuple[str, str]) -> Slots:
    """The slots that `spec.templates` fills; an empty text counts as not set."""
    return {
        slot: TemplateText(text=text, delimiters=delimiters, origin=f"{owner} spec.templates.{slot}")
        for slot, text in _texts(templates)
    }


def _texts(templates: Templates) -> Iterator[tuple[str, str]]:
    slots = _BEHAVIOUR if templates.appearance == _NO_APPEARANCE else TEMPLATE_SLOTS
    for slot in slots:
        text = _ATTRIBUTES[slot](templates)
        if text:
            yield slot, text


def check_slots(slots: Slots, findings: Findings) -> frozenset[str]:
    """The slots whose inline text does not parse, each with its finding."""
    broken = {
        slot
        for slot, template in slots.items()
        if not check_template(template, f"spec.templates.{slot}", findings)
    }
    return frozenset(broken)


def fill_from_config_maps(
    sources: tuple[TemplateFrom, ...], inline: Slots, delimiters: tuple[str, str], scope: Scope
) -> tuple[Slots, frozenset[str]]:
    """Slots from ConfigMap keys, and which of them do not parse.

    A key that is missing leaves its slot to what lies below (AlertTemplates, then the type's default). A slot is
    to be given once; where it is not, inline text wins, then the first entry.
    """
    findings = scope.findings
    slots: dict[str, TemplateText] = {}
    broken: set[str] = set()
    for index, source in enumerate(sources):
        field = f"spec.templatesFrom[{index}]"
        text = _config_text(source, field, scope)
        if text is None:
            continue
        if source.slot in inline or source.slot in slots:
            findings.warn(
                f"{field}.slot",
                Hint.DUPLICATE_SLOT,
                f"slot {source.slot} is given before; this text is not used",
            )
            continue
        ref = source.config_map_key_ref
        template = TemplateText(
            text=text,
            delimiters=delimiters,
            origin=f"{scope.owner} {field} (ConfigMap {ref.name}, key {ref.key})",
        )
        slots[source.slot] = template
        if not check_template(template, field, findings):
            broken.add(source.slot)
    return slots, frozenset(broken)


def _config_text(source: TemplateFrom, field: str, scope: Scope) -> str | None:
    namespace, findings = scope.owner.namespace, scope.findings
    if source.slot not in _ATTRIBUTES:
        hint = did_you_mean(source.slot, TEMPLATE_SLOTS)
        findings.error(f"{field}.slot", Reason.INVALID_VALUE, f"there is no slot {source.slot!r}{hint}")
        return None
    ref = source.config_map_key_ref
    data = scope.reader.config_map(namespace, ref.name)
    if data is not None and data.get(ref.key):
        return data[ref.key]
    if data is None:
        missing, hint = f"ConfigMap {ref.name} is not in namespace {namespace}", ""
    else:
        missing, hint = (
            f"ConfigMap {ref.name} has no text under key {ref.key!r}",
            did_you_mean(ref.key, data),
        )
    findings.error(
        f"{field}.configMapKeyRef",
        Reason.REF_NOT_FOUND,
        f"{missing}, so slot {source.slot} is as if not set here{hint}",
    )
    return None


def grouping_hints(slots: Slots) -> tuple[Finding, ...]:
    """A grouping id that is the same for all alerts is legal and hardly ever meant."""
    template = slots.get("groupingId")
    if template is None:
        return ()
    constant = examine(template.text, template.delimiters).constant
    if constant is None:
        return ()
    message = (
        "the grouping id is the same for every alert, so all alerts of a route fall into one group"
        if constant.strip()
        else "the grouping id is always empty, so every alert is a group of its own"
    )
    field = "spec.templates.groupingId" if " spec.templates.groupingId" in template.origin else ""
    return (
        Finding(
            field=field or "spec.templatesFrom",
            reason=Hint.CONSTANT_GROUPING,
            message=message,
            severity=Severity.WARNING,
        ),
    )
