"""LabelRule: static, dynamic and extracted labels for the alert groups of integrations."""

from __future__ import annotations

from typing import Annotated

import msgspec

from tocsin.api.common import (
    Delimiters,
    LabelKey,
    LabelValue,
    Metadata,
    ObjectRef,
    Selector,
    Spec,
    Status,
    Template,
)


class StaticLabel(Spec, frozen=True, kw_only=True):
    key: LabelKey
    value: LabelValue


class DynamicLabel(Spec, frozen=True, kw_only=True):
    """A fixed key with a templated value (alert-flow R-LBL-5)."""

    key: LabelKey
    template: Annotated[str, msgspec.Meta(min_length=1, max_length=50_000)]


class LabelRuleSpec(Spec, frozen=True, kw_only=True):
    """Rules apply in order of `priority` (lower first), then namespace/name; a later one overrides an earlier one."""

    integration_refs: Annotated[tuple[ObjectRef, ...], msgspec.Meta(max_length=64)] = ()
    integration_selector: Selector | None = None
    priority: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 1000
    static: Annotated[tuple[StaticLabel, ...], msgspec.Meta(max_length=64)] = ()
    dynamic: Annotated[tuple[DynamicLabel, ...], msgspec.Meta(max_length=64)] = ()
    extract: Template = ""
    delimiters: Delimiters = ("{{", "}}")
    suspend: bool = False


class LabelRuleStatus(Status, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    attached_integrations: int = 0


class LabelRule(msgspec.Struct, frozen=True, kw_only=True):
    metadata: Metadata
    spec: LabelRuleSpec
