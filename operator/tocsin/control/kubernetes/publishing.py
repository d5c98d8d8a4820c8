"""Publishing a compiled flow under the epoch of the Lease, with the credentials that it needs, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from sqlalchemy import Connection

from tocsin.api.common import Finding, Identity
from tocsin.api.integration import Integration
from tocsin.control.kubernetes.references import References, has_endpoint_secret
from tocsin.control.kubernetes.secrets import Endpoints
from tocsin.control.vault import Vault
from tocsin.flow.compiler import Compiled
from tocsin.flow.model import IntegrationFragment
from tocsin.store import clock, revisions
from tocsin.store.database import Store
from tocsin.store.revisions import Revision


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """`findings` are about tokens, which the compiler does not see."""

    revision: Revision
    findings: Mapping[Identity, Finding]


async def publish(
    store: Store, compiled: Compiled, references: References, endpoints: Endpoints, epoch: int
) -> Publication:
    """Raises StoreUnavailable, or StaleEpoch if a newer leader has published; then nothing was changed."""
    owners = endpoint_owners(compiled)
    kept = endpoints.kept(owners)
    vault = Vault(store.keys, references.values(), kept=kept)

    def write(connection: Connection) -> Revision:
        vault.store(connection, compiled.flow, clock.now(connection))
        return revisions.publish(connection, compiled.flow, epoch)

    revision = await store.write(write)
    renewed = {integration: owners[integration] for integration, token in kept.items() if not token}
    endpoints.obey(renewed)
    endpoints.ensure(renewed)
    return Publication(revision=revision, findings=vault.findings(compiled.flow))


def endpoint_owners(compiled: Compiled) -> dict[Identity, str]:
    """Integrations of the flow for which Tocsin keeps an endpoint Secret, with their uids."""
    inventory = compiled.state.inventory
    return {
        identity: integration.metadata.uid
        for identity, integration in inventory.integrations.items()
        if _has_secret(identity, integration, compiled)
    }


def _has_secret(identity: Identity, integration: Integration, compiled: Compiled) -> bool:
    """Whether the type has a URL with a token, and the token is ours to make."""
    if not has_endpoint_secret(integration) or identity not in compiled.flow.manifest:
        return False
    fragment = compiled.flow.fragment(identity)
    report = compiled.reports[identity]
    return isinstance(fragment, IntegrationFragment) and bool(getattr(report.facts, "endpoint_secret", ""))
