"""Whom a flow can tell: chains, channels, webhooks, people and schedules of one program, by `namespace/name`.

A suspended, deleted or refused object is not in here; whoever names it gets a logged error and goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tocsin.flow.model import (
    AnyFragment,
    ChainFragment,
    ChannelFragment,
    ResponderFragment,
    ScheduleFragment,
    WebhookFragment,
)


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """`teams`: (namespace, team) -> its Responders as `namespace/name`, sorted. A team is a name within a namespace."""

    chains: Mapping[str, ChainFragment] = field(default_factory=dict)
    channels: Mapping[str, ChannelFragment] = field(default_factory=dict)
    webhooks: Mapping[str, WebhookFragment] = field(default_factory=dict)
    responders: Mapping[str, ResponderFragment] = field(default_factory=dict)
    schedules: Mapping[str, ScheduleFragment] = field(default_factory=dict)
    teams: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)


NO_TARGETS = Targets()

FIELD_OF_KIND: Mapping[str, str] = {
    "EscalationChain": "chains",
    "NotificationChannel": "channels",
    "OutgoingWebhook": "webhooks",
    "Responder": "responders",
    "OnCallSchedule": "schedules",
}
"""Where the objects of each kind that tells somebody are."""


class TargetsDraft:
    """Changes on their way to new Targets. A mapping is copied when it first changes; the others are shared."""

    def __init__(self, base: Targets) -> None:
        self._base = base
        self._changed: dict[str, dict[str, AnyFragment]] = {}
        self._teams: dict[tuple[str, str], set[str]] = {}

    def update(self, kind: str, key: str, fragment: AnyFragment | None) -> None:
        """Sets what `key` (`namespace/name`) of a kind of `FIELD_OF_KIND` is; None removes it."""
        held = self._own(FIELD_OF_KIND[kind])
        before = held.pop(key, None)
        if fragment is not None:
            held[key] = fragment
        for team in _teams(before):
            self._team(team).discard(key)
        for team in _teams(fragment):
            self._team(team).add(key)

    def finish(self) -> Targets:
        """The base itself if nothing was changed."""
        if not self._changed:
            return self._base
        base = self._base
        held = {name: self._changed.get(name, getattr(base, name)) for name in FIELD_OF_KIND.values()}
        return Targets(**held, teams=self._all_teams())

    def _all_teams(self) -> Mapping[tuple[str, str], tuple[str, ...]]:
        if not self._teams:
            return self._base.teams
        merged = {**self._base.teams, **{team: tuple(sorted(keys)) for team, keys in self._teams.items()}}
        return {team: keys for team, keys in merged.items() if keys}

    def _own(self, name: str) -> dict[str, AnyFragment]:
        if name not in self._changed:
            self._changed[name] = dict(getattr(self._base, name))
        return self._changed[name]

    def _team(self, team: tuple[str, str]) -> set[str]:
        if team not in self._teams:
            self._teams[team] = set(self._base.teams.get(team, ()))
        return self._teams[team]


def _teams(fragment: AnyFragment | None) -> Iterable[tuple[str, str]]:
    if not isinstance(fragment, ResponderFragment):
        return ()
    return [(fragment.namespace, team) for team in fragment.teams]
