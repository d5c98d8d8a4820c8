"""Which objects of a cluster are looked at, and where the API server has them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from tocsin.api.common import API_GROUP
from tocsin.api.crds import load_crds
from tocsin.api.objects import KINDS

CLASS_LABEL = f"{API_GROUP}/class"
WATCH_LABEL = f"{API_GROUP}/watch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One kind of object as the API server serves it. `selector` is a label selector that the server applies."""

    kind: str
    group: str
    version: str
    plural: str
    selector: str = ""
    namespaced: bool = True

    @property
    def own(self) -> bool:
        """Whether it is one of Tocsin's kinds, without which nothing can be published."""
        return self.group == API_GROUP

    def path(self, namespace: str | None = None, name: str = "", subresource: str = "") -> str:
        """The path of one object, of a namespace's list, or (namespace None) of the list of the cluster."""
        parts = ["api", self.version] if not self.group else ["apis", self.group, self.version]
        if self.namespaced and namespace is not None:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part]
        return "/" + "/".join(quote(part, safe="") for part in parts)


SECRETS = Resource(kind="Secret", group="", version="v1", plural="secrets", selector=f"{WATCH_LABEL}=true")
CONFIG_MAPS = Resource(
    kind="ConfigMap", group="", version="v1", plural="configmaps", selector=f"{WATCH_LABEL}=true"
)
NAMESPACES = Resource(kind="Namespace", group="", version="v1", plural="namespaces", namespaced=False)
EVENTS = Resource(kind="Event", group="", version="v1", plural="events")
LEASES = Resource(kind="Lease", group="coordination.k8s.io", version="v1", plural="leases")
WEBHOOKS = Resource(
    kind="ValidatingWebhookConfiguration",
    group="admissionregistration.k8s.io",
    version="v1",
    plural="validatingwebhookconfigurations",
    namespaced=False,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Whose objects this Tocsin serves: everything, or some namespaces; those of its class, or those without one."""

    namespaces: tuple[str, ...] = ()
    """Empty: the whole cluster."""
    instance: str = ""
    """The value of the label tocsin.dev/class; "" serves the objects that do not have the label."""

    @property
    def selector(self) -> str:
        return f"{CLASS_LABEL}={self.instance}" if self.instance else f"!{CLASS_LABEL}"

    def own_resources(self) -> dict[str, Resource]:
        """Tocsin's kinds by name."""
        return {
            crd.kind: Resource(
                kind=crd.kind,
                group=crd.group,
                version=crd.version,
                plural=crd.plural,
                selector=self.selector,
            )
            for crd in load_crds().values()
            if crd.kind in KINDS
        }

    def resources(self) -> tuple[Resource, ...]:
        """All that is listed and watched, Tocsin's kinds last: what they refer to is better known before.

        Namespace objects are cluster-scoped, so with Roles alone they cannot be listed.
        """
        supporting = (SECRETS, CONFIG_MAPS) if self.namespaces else (NAMESPACES, SECRETS, CONFIG_MAPS)
        return (*supporting, *self.own_resources().values())

    def places(self, resource: Resource) -> Iterator[str | None]:
        """The namespaces to list and watch one by one; None is the whole cluster."""
        if self.namespaces and resource.namespaced:
            yield from self.namespaces
        else:
            yield None
