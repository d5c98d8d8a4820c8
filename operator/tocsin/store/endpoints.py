"""Where senders post to: the URLs of all Integrations, in clear, for those who may see them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from sqlalchemy import Connection, select

from tocsin.api.common import Identity
from tocsin.api.integration import AuthMode
from tocsin.flow.program import IntegrationProgram, Program
from tocsin.store.keys import KeyRing
from tocsin.store.tables import endpoint_token, identity

EMAIL_TYPE = "inbound_email"


class EndpointUrls(msgspec.Struct, frozen=True, kw_only=True):
    """`url` is empty for types without one and while the token is missing; `heartbeat_url` where none is declared.

    For inbound_email `url` is the address that takes the mails, where a domain is configured.
    """

    namespace: str
    name: str
    type: str
    url: str
    heartbeat_url: str


def endpoint_urls(
    connection: Connection, keys: KeyRing, program: Program, base: str, *, email_domain: str = ""
) -> tuple[EndpointUrls, ...]:
    """All Integrations by namespace and name; URLs begin with `base`. Raises DecryptionFailed."""
    tokens = _current_tokens(connection, keys)
    domain = email_domain.removeprefix("@")
    return tuple(
        _urls(integration, tokens.get(found), base.rstrip("/"), domain)
        for found, integration in sorted(program.integrations.items())
    )


def _urls(integration: IntegrationProgram, token: str | None, base: str, domain: str) -> EndpointUrls:
    fragment = integration.fragment
    url = ""
    if fragment.type == EMAIL_TYPE:
        url = f"{token}@{domain}" if token and domain else ""
    elif not integration.type.url:
        pass
    elif fragment.auth.mode != AuthMode.TOKEN:
        url = f"{base}/v1/namespaces/{fragment.namespace}/integrations/{fragment.name}/"
    elif token is not None:
        url = f"{base}/integrations/v1/{fragment.type}/{token}/"
    heartbeat = fragment.heartbeat is not None and url.startswith(base)
    return EndpointUrls(
        namespace=fragment.namespace,
        name=fragment.name,
        type=fragment.type,
        url=url,
        heartbeat_url=f"{url}heartbeat/" if url and heartbeat else "",
    )


def _current_tokens(connection: Connection, keys: KeyRing) -> Mapping[Identity, str]:
    rows = connection.execute(
        select(endpoint_token.c.ciphertext, identity.c.kind, identity.c.namespace, identity.c.name)
        .join(identity, identity.c.id == endpoint_token.c.integration_id)
        .where(endpoint_token.c.valid_until.is_(None), endpoint_token.c.entombed_until.is_(None))
        .order_by(endpoint_token.c.id)
    )
    return {
        Identity(row.kind, row.namespace, row.name): keys.decrypt(
            bytes(row.ciphertext), f"endpoint token of {row.namespace}/{row.name}"
        ).decode()
        for row in rows
    }
