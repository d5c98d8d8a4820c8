"""OutgoingWebhook: its templates, its credentials, and the Integrations that it is for."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tocsin.api.common import KeyRef
from tocsin.api.conditions import Hint, Reason
from tocsin.api.durations import MINUTE, SECOND
from tocsin.api.outgoingwebhook import OutgoingWebhookSpec
from tocsin.flow.compiler.findings import Findings, checked_duration
from tocsin.flow.compiler.links import selected
from tocsin.flow.compiler.references import Scope, follow_to_integration, secret, target_of
from tocsin.flow.compiler.texts import check_delimiters, check_template, examine
from tocsin.flow.model import SecretKey, TemplateText, WebhookFragment
from tocsin.flow.templates import is_true

NAMES = frozenset(
    {
        "event",
        "user",
        "alert_group",
        "alert_group_id",
        "alert_payload",
        "integration",
        "notified_users",
        "users_to_be_notified",
        "alert_group_acknowledged_by",
        "alert_group_resolved_by",
        "responses",
        "webhook",
        "payload",
        "labels",
    }
)
"""Variables of a webhook's templates (alert-flow R-WHK-11); the last two are those of every template."""

_TIMEOUT = (SECOND, MINUTE)
_DEFAULT_TIMEOUT = 4 * SECOND
_ABSOLUTE = re.compile(r"https?://[^/?#\s]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Texts:
    """Makes and checks the templates of one webhook."""

    scope: Scope
    delimiters: tuple[str, str]

    def template(self, text: str | None, field: str) -> TemplateText | None:
        return self.made(text, field) if text else None

    def made(self, text: str, field: str) -> TemplateText:
        made = TemplateText(text=text, delimiters=self.delimiters, origin=f"{self.scope.owner} {field}")
        check_template(made, field, self.scope.findings, names=NAMES)
        return made


def webhook_of(spec: OutgoingWebhookSpec, scope: Scope) -> WebhookFragment:
    """A template that is invalid stays: it always fails, and each run says so."""
    texts = _Texts(scope, check_delimiters(spec.delimiters, scope.findings))
    timeout = checked_duration(spec.timeout, "spec.timeout", _TIMEOUT, scope.findings)
    auth = spec.basic_auth
    fragment = WebhookFragment(
        namespace=scope.owner.namespace,
        name=scope.owner.name,
        triggers=tuple(sorted({trigger.value for trigger in spec.triggers})),
        method=spec.method.value,
        url=texts.template(spec.url, "spec.url"),
        url_secret=_secret(spec.url_secret_ref, "spec.urlSecretRef", scope),
        headers={name: texts.made(text, f"spec.headers.{name}") for name, text in spec.headers.items()},
        secret_headers=_secret_headers(spec, scope),
        username=_secret(
            auth.username_secret_ref if auth else None, "spec.basicAuth.usernameSecretRef", scope
        ),
        password=_secret(
            auth.password_secret_ref if auth else None, "spec.basicAuth.passwordSecretRef", scope
        ),
        condition=texts.template(spec.condition, "spec.condition"),
        body=texts.template(spec.body, "spec.body"),
        timeout=timeout or _DEFAULT_TIMEOUT,
        integrations=_integrations(spec, scope),
    )
    _check_url(fragment, scope.findings)
    _hint(fragment, scope.findings)
    return fragment


def _secret(ref: KeyRef | None, field: str, scope: Scope) -> SecretKey | None:
    return None if ref is None else secret(ref, field, scope, "the request is not made")


def _secret_headers(spec: OutgoingWebhookSpec, scope: Scope) -> tuple[tuple[str, SecretKey], ...]:
    found: list[tuple[str, SecretKey]] = []
    for index, header in enumerate(spec.secret_headers):
        key = _secret(header.value_secret_ref, f"spec.secretHeaders[{index}].valueSecretRef", scope)
        found += [] if key is None else [(header.name, key)]
    return tuple(found)


def _integrations(spec: OutgoingWebhookSpec, scope: Scope) -> tuple[str, ...] | None:
    """None where the webhook names none and so is for all of its namespace."""
    if not spec.integration_refs and spec.integration_selector is None:
        return None
    found: set[str] = set()
    for index, ref in enumerate(spec.integration_refs):
        if follow_to_integration(ref, f"spec.integrationRefs[{index}]", scope) is not None:
            target = target_of(ref, "Integration", scope.owner.namespace)
            found.add(f"{target.namespace}/{target.name}")
    if spec.integration_selector is not None:
        found.update(f"{at.namespace}/{at.name}" for at in selected(spec.integration_selector, scope))
    return tuple(sorted(found))


def _check_url(fragment: WebhookFragment, findings: Findings) -> None:
    """What the URL begins with, where a template does not say it."""
    if fragment.url is None or fragment.url.text.lstrip().startswith(
        (fragment.url.delimiters[0], "{%", "{#")
    ):
        return
    if not _ABSOLUTE.match(fragment.url.text.strip()):
        message = f"begins with {fragment.url.text.strip()[:40]!r}: write a whole URL, as in https://example.com/hook"
        findings.error("spec.url", Reason.INVALID_VALUE, message)


def _hint(fragment: WebhookFragment, findings: Findings) -> None:
    if fragment.condition is not None:
        constant = examine(fragment.condition.text, fragment.condition.delimiters, NAMES).constant
        if constant is not None and not is_true(constant):
            findings.warn(
                "spec.condition",
                Hint.NEVER_MATCHES,
                f"always prints {constant.strip()[:60]!r}, which is none of true, 1 and ok, so the webhook never runs; "
                "a condition needs braces, as in {{ event.type == 'resolve' }}",
            )
