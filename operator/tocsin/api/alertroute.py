"""AlertRoute: which alerts of which integrations go to which escalation chain and channels."""

from __future__ import annotations

from typing import Annotated

import msgspec

from tocsin.api.common import Delimiters, Matcher, Metadata, ObjectRef, Spec, Status, Template
from tocsin.api.integration import ChannelPublication


class RouteMatch(Spec, frozen=True, kw_only=True):
    """All given conditions must hold; at least one must be given (CEL). `regex` searches the payload's JSON text."""

    template: Template = ""
    labels: Annotated[tuple[Matcher, ...], msgspec.Meta(max_length=32)] = ()
    regex: Annotated[str, msgspec.Meta(max_length=1024)] = ""


class AlertRouteSpec(Spec, frozen=True, kw_only=True):
    parent_refs: Annotated[tuple[ObjectRef, ...], msgspec.Meta(min_length=1, max_length=32)]
    match: RouteMatch
    priority: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 1000
    escalation_chain_ref: ObjectRef | None = None
    chatops: Annotated[tuple[ChannelPublication, ...], msgspec.Meta(max_length=16)] = ()
    delimiters: Delimiters = ("{{", "}}")
    suspend: bool = False


class RouteParentStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Where the route stands on one Integration: `position` counts from 1 in order of evaluation."""

    integration: str
    position: int = 0
    accepted: bool = False


class AlertRouteStatus(Status, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    parents: tuple[RouteParentStatus, ...] = ()
    matched_last24h: int = msgspec.field(name="matchedLast24h", default=0)


class AlertRoute(msgspec.Struct, frozen=True, kw_only=True):
    metadata: Metadata
    spec: AlertRouteSpec
