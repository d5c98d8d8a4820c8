"""Integration: what it says itself. Attachments and templates of others come later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from tocsin.api.common import Finding, Identity, KeyRef, ObjectRef
from tocsin.api.conditions import Hint, Reason
from tocsin.api.durations import DAY, SECOND
from tocsin.api.integration import (
    Auth,
    AuthMode,
    Heartbeat,
    Integration,
    IntegrationLabel,
    IntegrationSpec,
    LabelInheritance,
    SourceSignals,
)
from tocsin.flow.compiler.findings import Findings, checked_duration, did_you_mean
from tocsin.flow.compiler.local import Local, accepted_reason
from tocsin.flow.compiler.reading import Reader
from tocsin.flow.compiler.references import (
    Scope,
    check_team,
    follow_to_template,
    qualified,
    reach_target,
    secret,
    target_of,
)
from tocsin.flow.compiler.rules import warn_of_repeats
from tocsin.flow.compiler.slots import (
    Slots,
    TemplateSet,
    check_slots,
    fill_from_config_maps,
    grouping_hints,
    inline_slots,
)
from tocsin.flow.compiler.texts import check_delimiters, check_template
from tocsin.flow.model import (
    AuthFragment,
    HeartbeatFragment,
    IntegrationFragment,
    SecretKey,
    TemplateText,
)
from tocsin.flow.redaction import InvalidPath, parse_path
from tocsin.sources.model import SourceType

HEARTBEAT_INTERVAL = (30 * SECOND, 7 * DAY)
_GRACE = (0, 7 * DAY)
_OVERLAP = (0, 30 * DAY)
_PERIOD = (SECOND, DAY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """An accepted Integration with its templates and credentials, before anything is attached to it."""

    fragment: IntegrationFragment
    findings: tuple[Finding, ...]
    uses: frozenset[Identity]
    """The AlertTemplates that it takes templates from, and whom its default route tells."""
    claims: frozenset[tuple[str, ...]]
    """What only one Integration of a namespace may have: its token."""


def compile_integration(
    identity: Identity, integration: Integration, source_type: SourceType | None
) -> Local:
    """Everything that needs no other object. Without a known type the Integration has no effect."""
    spec, findings = integration.spec, Findings()
    if source_type is None:
        return Local(reason=Reason.UNKNOWN_TYPE)
    delimiters = check_delimiters(spec.delimiters, findings)
    slots = inline_slots(spec.templates, identity, delimiters)
    check_slots(slots, findings)
    warn_of_repeats((label.key for label in spec.labels), "spec.labels", findings)
    _check_redact(spec.redact, findings)
    rate_limit, rate_period = _rate(spec, findings)
    fragment = IntegrationFragment(
        namespace=identity.namespace,
        name=identity.name,
        type=spec.type,
        title=spec.title or identity.name,
        description=spec.description,
        team=spec.team,
        labels=_pairs(spec.labels),
        inherited_labels=_pairs(
            tuple(label for label in spec.labels if label.inheritance is LabelInheritance.PASS)
        ),
        heartbeat=_heartbeat(identity, integration, source_type, findings),
        rate_limit=rate_limit,
        rate_period=rate_period,
        source_resolve=spec.source_resolve is SourceSignals.ALLOWED,
        templates=dict(slots),
        redact=spec.redact,
        suspended=spec.suspend,
    )
    return Local(fragment=fragment, reason=accepted_reason(suspend=spec.suspend), findings=findings.done())


def unknown_type(integration: Integration, types: Mapping[str, SourceType]) -> Finding:
    slug = integration.spec.type
    hint = did_you_mean(slug, types)
    return Finding(
        field="spec.type",
        reason=Reason.UNKNOWN_TYPE,
        message=f"there is no integration type {slug!r} (`tocsin types` lists them, `webhook` takes any JSON){hint}",
    )


def complete_integration(
    identity: Identity,
    integration: Integration,
    local: Local,
    reader: Reader,
    sets: Mapping[Identity, TemplateSet],
) -> Own:
    """Adds what comes from ConfigMaps, AlertTemplates and Secrets. `local` must have a fragment."""
    spec, findings = integration.spec, Findings(local.findings)
    fragment = local.fragment
    if not isinstance(fragment, IntegrationFragment):
        raise TypeError(f"{identity} has no fragment")
    inline: Slots = fragment.templates
    delimiters = check_delimiters(spec.delimiters, Findings())
    scope = Scope(identity, reader, findings)
    filled, _ = fill_from_config_maps(spec.templates_from, inline, delimiters, scope)
    own_slots = {**filled, **inline}
    findings.add(grouping_hints(own_slots))
    shared, uses = _shared_slots(spec.template_refs, own_slots, sets, scope)
    auth = _auth(spec.auth, scope)
    default = spec.default_route
    target = reach_target(default.escalation_chain_ref, default.chatops, "spec.defaultRoute", scope)
    check_team(spec.team, scope)
    completed = msgspec.structs.replace(
        fragment, templates={**shared, **own_slots}, auth=auth, default_target=target
    )
    return Own(
        fragment=completed,
        findings=findings.done(),
        uses=uses | scope.reached,
        claims=_claims(auth),
    )


def _shared_slots(
    refs: tuple[ObjectRef, ...], own: Slots, sets: Mapping[Identity, TemplateSet], scope: Scope
) -> tuple[Slots, frozenset[Identity]]:
    """Slots from AlertTemplates: the first reference that gives a slot wins."""
    slots: dict[str, TemplateText] = {}
    uses: set[Identity] = set()
    for index, ref in enumerate(refs):
        field = f"spec.templateRefs[{index}]"
        if follow_to_template(ref, field, scope) is None:
            continue
        target = target_of(ref, "AlertTemplate", scope.owner.namespace)
        uses.add(target)
        given = sets[target]
        for slot, template in given.slots.items():
            if slot in own or slot in slots:
                continue
            slots[slot] = template
            if slot in given.broken:
                scope.findings.warn(
                    field,
                    Hint.TEMPLATE_FAILS,
                    f"template {slot} of AlertTemplate {target.namespace}/{target.name} is invalid and always fails",
                )
    return slots, frozenset(uses)


def _pairs(labels: tuple[IntegrationLabel, ...]) -> tuple[tuple[str, str], ...]:
    return tuple({label.key: label.value for label in labels}.items())


def _check_redact(paths: tuple[str, ...], findings: Findings) -> None:
    for index, path in enumerate(paths):
        try:
            parse_path(path)
        except InvalidPath as problem:
            findings.error(
                f"spec.redact[{index}]",
                Reason.INVALID_PATH,
                f"{problem}; until it is mended the whole payload is masked",
            )


def _rate(spec: IntegrationSpec, findings: Findings) -> tuple[int, int]:
    if spec.rate_limit is None:
        return 0, 0
    period = checked_duration(spec.rate_limit.period, "spec.rateLimit.period", _PERIOD, findings)
    return (0, 0) if period is None else (spec.rate_limit.alerts, period)


def _heartbeat(
    identity: Identity, integration: Integration, source_type: SourceType, findings: Findings
) -> HeartbeatFragment | None:
    spec = integration.spec.heartbeat
    if spec is None:
        return None
    if not source_type.heartbeat:
        findings.error(
            "spec.heartbeat",
            Reason.INVALID_VALUE,
            f"type {source_type.slug} has no heartbeat URL; use a second Integration of type webhook",
        )
        return None
    interval = checked_duration(spec.interval, "spec.heartbeat.interval", HEARTBEAT_INTERVAL, findings)
    grace = checked_duration(spec.grace, "spec.heartbeat.grace", _GRACE, findings)
    title, message = _heartbeat_texts(identity, integration, spec, findings)
    warn_of_repeats((label.key for label in spec.labels), "spec.heartbeat.labels", findings)
    if interval is None:
        return None
    return HeartbeatFragment(
        interval=interval,
        grace=grace or 0,
        required=spec.required,
        title=title,
        message=message,
        labels=_pairs(spec.labels),
        route=qualified(spec.route_ref, identity.namespace),
    )


def _heartbeat_texts(
    identity: Identity, integration: Integration, spec: Heartbeat, findings: Findings
) -> tuple[TemplateText | None, TemplateText | None]:
    delimiters = check_delimiters(integration.spec.delimiters, Findings())
    made: list[TemplateText | None] = []
    for name, text in (("title", spec.title), ("message", spec.message)):
        field = f"spec.heartbeat.{name}"
        template = (
            TemplateText(text=text, delimiters=delimiters, origin=f"{identity} {field}") if text else None
        )
        if template is not None:
            check_template(template, field, findings)
        made.append(template)
    return made[0], made[1]


def _auth(auth: Auth, scope: Scope) -> AuthFragment:
    """Only the keys of the mode. A credential that is not there lets nobody in."""
    findings = scope.findings

    def of(ref: KeyRef, field: str) -> SecretKey:
        return secret(ref, field, scope, "no sender can authenticate")

    overlap = checked_duration(auth.rotation_overlap, "spec.auth.rotationOverlap", _OVERLAP, findings)
    made = AuthFragment(mode=auth.mode.value, rotation_overlap=DAY if overlap is None else overlap)
    replace = msgspec.structs.replace
    match auth.mode:
        case AuthMode.TOKEN if auth.token_secret_ref is not None:
            return replace(made, token=of(auth.token_secret_ref, "spec.auth.tokenSecretRef"))
        case AuthMode.TOKEN:
            return made
        case AuthMode.BASIC if auth.basic is not None:
            return replace(
                made,
                username=of(auth.basic.username_secret_ref, "spec.auth.basic.usernameSecretRef"),
                password=of(auth.basic.password_secret_ref, "spec.auth.basic.passwordSecretRef"),
            )
        case AuthMode.BEARER if auth.bearer is not None:
            return replace(made, secret=of(auth.bearer.secret_ref, "spec.auth.bearer.secretRef"))
        case AuthMode.HMAC if auth.hmac is not None:
            return replace(
                made,
                secret=of(auth.hmac.secret_ref, "spec.auth.hmac.secretRef"),
                hmac_header=auth.hmac.header,
                hmac_algorithm=auth.hmac.algorithm,
                hmac_encoding=auth.hmac.encoding.value,
                hmac_prefix=auth.hmac.prefix,
            )
        case mode:
            field = f"spec.auth.{mode.value.lower()}"
            findings.error(
                field, Reason.INVALID_VALUE, f"is needed with mode {mode.value}; no sender can authenticate"
            )
            return made


def _claims(auth: AuthFragment) -> frozenset[tuple[str, ...]]:
    token = auth.token
    if token is None:
        return frozenset()
    if token.digest:
        return frozenset({(token.namespace, token.digest)})
    return frozenset({(token.namespace, token.name, token.key)})
