"""Objects that say who is told, in a few words."""

from __future__ import annotations

from typing import Any

from dispatching import integration, obj

CHANNEL = obj("NotificationChannel", "mail", ntfy={"topic": "alerts"})


def responder(name: str, namespace: str = "default", **spec: Any) -> dict:
    """With one contact, told at once."""
    spec = {
        "displayName": name.title(),
        "contacts": [{"name": "push", "channelRef": {"name": "mail"}}],
        **spec,
    }
    made = obj("Responder", name, **spec)
    made["metadata"]["namespace"] = namespace
    return made


def chain(name: str = "c", *steps: dict, **spec: Any) -> dict:
    return obj("EscalationChain", name, steps=list(steps), **spec)


def paging(name: str = "pages", **spec: Any) -> dict:
    return integration(name, "direct_paging", **spec)


LEADS = {"defaultRoute": {"escalationChainRef": {"name": "c"}}}
