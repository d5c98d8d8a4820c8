"""What people and processes may do with the chart's roles, as the API server itself says."""

from __future__ import annotations

from collections.abc import Callable

from cluster_world import World, until


def test_people_with_view_and_edit_have_tocsins_kinds(release: Callable[..., World]) -> None:
    """By aggregation: `view` reads, `edit` writes, nobody writes a status."""
    world = release()
    namespace = world.namespace
    world.kubectl("create", "serviceaccount", "reader")
    world.kubectl("create", "serviceaccount", "writer")
    for name, role in (("reader", "view"), ("writer", "edit")):
        account = f"--serviceaccount={namespace}:{name}"
        world.kubectl("create", "rolebinding", name, f"--clusterrole={role}", account)

    def can(name: str, verb: str, *what: str) -> bool:
        user = f"--as=system:serviceaccount:{namespace}:{name}"
        return world.kubectl("auth", "can-i", verb, *what, user, check=False).strip() == "yes"

    until(lambda: can("reader", "list", "integrations.tocsin.dev"), "aggregation")
    until(lambda: can("writer", "create", "alertroutes.tocsin.dev"), "aggregation")
    assert not can("reader", "create", "integrations.tocsin.dev")
    assert can("writer", "delete", "maintenancewindows.tocsin.dev")
    for plural in (
        "escalationchains",
        "notificationchannels",
        "oncallschedules",
        "outgoingwebhooks",
        "responders",
    ):
        assert can("reader", "watch", f"{plural}.tocsin.dev")
        assert can("writer", "patch", f"{plural}.tocsin.dev")
    assert not can("writer", "patch", "integrations.tocsin.dev", "--subresource=status")


def test_the_one_pod_may_not_touch_the_webhook(release: Callable[..., World]) -> None:
    """Nor may the Job touch anything else."""
    world = release()

    def can(account: str, verb: str, what: str) -> bool:
        user = f"--as=system:serviceaccount:{world.namespace}:{account}"
        return world.kubectl("auth", "can-i", verb, what, user, check=False).strip() == "yes"

    own = f"validatingwebhookconfigurations/{world.namespace}-tocsin"
    assert can("tocsin-trust", "patch", own)
    assert not can("tocsin", "patch", own)
    assert not can("tocsin-trust", "patch", "validatingwebhookconfigurations/another")
    assert not can("tocsin-trust", "get", "secrets/tocsin-keys")
    assert not can("tocsin-trust", "list", "secrets")


def test_who_sends_and_receives_may_nothing_at_the_api_server(release: Callable[..., World]) -> None:
    """Not even read what it works with: that comes through the database. The operator writes statuses, and no spec."""
    world = release("mode=scaled", "database.existingSecret=pg")

    def can(role: str, verb: str, *what: str) -> bool:
        user = f"--as=system:serviceaccount:{world.namespace}:tocsin-{role}"
        return world.kubectl("auth", "can-i", verb, *what, user, check=False).strip() == "yes"

    for role in ("receiver", "dispatcher", "console"):
        assert not any(
            can(role, "get", what) for what in ("secrets", "notificationchannels.tocsin.dev", "events")
        )
    assert can("operator", "patch", "oncallschedules.tocsin.dev", "--subresource=status")
    assert not can("operator", "patch", "oncallschedules.tocsin.dev")
