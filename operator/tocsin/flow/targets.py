"""Whom a flow can tell: chains, channels, webhooks, people and schedules of one program, by `namespace/name`.

A suspended, deleted or refused object is not in here; whoever names it gets a logged error and goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tocsin.flow.model import (
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
