"""Access to the inventory that remembers what was looked at, so that only readers of a change compile again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tocsin.api.alerttemplate import AlertTemplate
from tocsin.api.common import Identity
from tocsin.api.integration import Integration
from tocsin.flow.compiler.findings import did_you_mean
from tocsin.flow.compiler.standing import Standing, standing_of
from tocsin.flow.inventory import Inventory
from tocsin.sources.model import SourceType

Key = tuple[str, ...]
"""Something that can change: an Identity, or one of the tuples below."""


def config_map_key(namespace: str, name: str) -> Key:
    return ("configmap", namespace, name)


def secret_key(namespace: str, name: str, key: str) -> Key:
    return ("secret", namespace, name, key)


def namespace_key(namespace: str) -> Key:
    return ("namespace", namespace)


def members_key(namespace: str, kind: str) -> Key:
    """All objects of a kind in a namespace: changes with each of them."""
    return ("members", namespace, kind)


def names_key(namespace: str, kind: str) -> Key:
    """Which objects of a kind a namespace has: changes with those that come and go."""
    return ("names", namespace, kind)


def standing_key(identity: Identity) -> Key:
    """What others see of an object that says who is told."""
    return ("standing", *identity)


def team_key(namespace: str, team: str) -> Key:
    """Whether anybody is in the team."""
    return ("team", namespace, team)


def teams_key(namespace: str) -> Key:
    """Which teams there are."""
    return ("teams", namespace)


class Members:
    """Objects by namespace, built when first asked for; one per compilation."""

    __slots__ = ("_by_namespace", "_hints", "_inventory", "_teams")

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._by_namespace: dict[str, dict[str, list[Identity]]] = {}
        self._teams: dict[str, frozenset[str]] | None = None
        self._hints: dict[Identity, str] = {}

    def did_you_mean(self, wanted: Identity) -> str:
        """A hint at an object of the same kind and namespace with a similar name. Many may name the same wrong one."""
        hint = self._hints.get(wanted)
        if hint is None:
            names = [member.name for member in self.of(wanted.namespace, wanted.kind)]
            hint = self._hints[wanted] = did_you_mean(wanted.name, names)
        return hint

    def teams(self, namespace: str) -> frozenset[str]:
        """The teams that somebody is in."""
        if self._teams is None:
            found: dict[str, set[str]] = {}
            for identity, responder in self._inventory.responders.items():
                if not responder.spec.suspend:
                    found.setdefault(identity.namespace, set()).update(responder.spec.teams)
            self._teams = {at: frozenset(teams) for at, teams in found.items()}
        return self._teams.get(namespace, frozenset())

    def of(self, namespace: str, kind: str) -> list[Identity]:
        if kind not in self._by_namespace:
            found: dict[str, list[Identity]] = {}
            for identity in self._inventory.objects(kind):
                found.setdefault(identity.namespace, []).append(identity)
            self._by_namespace[kind] = found
        return self._by_namespace[kind].get(namespace, [])


class Reader:
    """What one object's compilation may see. Everything it asks for is in `seen` afterwards."""

    __slots__ = ("_inventory", "_members", "_types", "seen")

    def __init__(self, inventory: Inventory, types: Mapping[str, SourceType], members: Members) -> None:
        self._inventory = inventory
        self._types = types
        self._members = members
        self.seen: set[Key] = set()

    @property
    def types(self) -> Mapping[str, SourceType]:
        return self._types

    def integration(self, identity: Identity) -> Integration | None:
        self.seen.add(identity)
        return self._inventory.integrations.get(identity)

    def template(self, identity: Identity) -> AlertTemplate | None:
        self.seen.add(identity)
        return self._inventory.templates.get(identity)

    def is_invalid(self, identity: Identity) -> bool:
        self.seen.add(identity)
        return identity in self._inventory.invalid

    def standing(self, identity: Identity) -> Standing | None:
        """What others see of an object of `standing.TELLING`; None where it is not there, or not accepted."""
        self.seen.add(standing_key(identity))
        return standing_of(self._inventory.objects(identity.kind).get(identity))

    def did_you_mean(self, wanted: Identity) -> str:
        self.seen.add(names_key(wanted.namespace, wanted.kind))
        return self._members.did_you_mean(wanted)

    def team_hint(self, namespace: str, team: str) -> str | None:
        """None where somebody is in the team, or where the namespace has no teams at all; else a did-you-mean."""
        self.seen.add(team_key(namespace, team))
        teams = self._members.teams(namespace)
        if team in teams:
            return None
        self.seen.add(teams_key(namespace))
        return did_you_mean(team, teams) if teams else None

    def has_team(self, namespace: str, team: str) -> bool:
        self.seen.add(team_key(namespace, team))
        return team in self._members.teams(namespace)

    def integrations_of(self, namespace: str) -> Iterable[tuple[Identity, Integration]]:
        self.seen.add(members_key(namespace, "Integration"))
        integrations = self._inventory.integrations
        return ((member, integrations[member]) for member in self._members.of(namespace, "Integration"))

    def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        self.seen.add(namespace_key(namespace))
        return self._inventory.namespace_labels(namespace)

    def config_map(self, namespace: str, name: str) -> Mapping[str, str] | None:
        self.seen.add(config_map_key(namespace, name))
        return self._inventory.config_maps.get((namespace, name))

    def secret_digest(self, namespace: str, name: str, key: str) -> str | None:
        """The keyed digest; "" where Secrets are not known at all, nor this one; None if the key is missing."""
        self.seen.add(secret_key(namespace, name, key))
        found = self._inventory.secrets.get((namespace, name, key))
        if found is not None or self._inventory.secrets_known:
            return found
        there = any((namespace, name) == secret[:2] for secret in self._inventory.secrets)
        return None if there else ""
