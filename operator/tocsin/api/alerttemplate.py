"""AlertTemplate: reusable behaviour and appearance templates, text inline or from a ConfigMap."""

from __future__ import annotations

from typing import Annotated

import msgspec

from tocsin.api.common import Delimiters, Metadata, Sharing, Spec, Status, TemplateFrom, Templates


class AlertTemplateSpec(Spec, frozen=True, kw_only=True):
    templates: Templates = Templates()
    templates_from: Annotated[tuple[TemplateFrom, ...], msgspec.Meta(max_length=32)] = ()
    delimiters: Delimiters = ("{{", "}}")
    sharing: Sharing = Sharing()
    suspend: bool = False


class AlertTemplateStatus(Status, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    used_by: int = 0


class AlertTemplate(msgspec.Struct, frozen=True, kw_only=True):
    metadata: Metadata
    spec: AlertTemplateSpec
