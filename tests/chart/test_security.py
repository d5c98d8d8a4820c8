"""What the chart lets pods do, on the node and with the API server."""

from __future__ import annotations

from typing import Any

import pytest
from charting import CASES, NAMESPACE, Manifest, case, manifests, of_kind, pods, rendered

OWN = "tocsin.dev"


def rules(found: tuple[Manifest, ...], kind: str) -> list[dict[str, Any]]:
    return [rule for manifest in of_kind(found, kind) for rule in manifest["rules"]]


def bound(found: tuple[Manifest, ...], kind: str) -> list[tuple[str, str]]:
    """(role, service account) of each binding."""
    return [
        (binding["roleRef"]["name"], subject["name"])
        for binding in of_kind(found, kind)
        for subject in binding["subjects"]
    ]


@pytest.mark.parametrize("name", CASES)
def test_every_pod_keeps_to_the_restricted_standard(name: str) -> None:
    """A namespace that enforces Pod Security `restricted` takes them all, the one of `helm test` too."""
    for where, pod in pods(case(name)):
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True, where
        assert (security["runAsUser"], security["runAsGroup"]) == (65532, 65532), where
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, where
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(), where
        assert {kind for v in pod["volumes"] for kind in v if kind != "name"} <= {
            "emptyDir",
            "secret",
            "configMap",
            "persistentVolumeClaim",
        }
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, where
            assert not any("hostPort" in port for port in container.get("ports", [])), where


@pytest.mark.parametrize("name", CASES)
def test_only_the_operator_has_a_token(name: str) -> None:
    """Receiver, dispatcher, console and the pod of `helm test` cannot speak to the API server at all."""
    found = case(name)
    for account in of_kind(found, "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False
    asking = {where for where, pod in pods(found) if pod["automountServiceAccountToken"]}
    deployments = {f"Deployment/{d['metadata']['name']}" for d in of_kind(found, "Deployment")}
    assert asking == ({"Deployment/tocsin-operator"} if len(deployments) > 1 else deployments)


@pytest.mark.parametrize("name", CASES)
def test_nobody_but_the_operator_is_bound_to_a_role(name: str) -> None:
    """Every binding names its ServiceAccount."""
    found = case(name)
    operator = {pod["serviceAccountName"] for _, pod in pods(found) if pod["automountServiceAccountToken"]}
    for kind in ("RoleBinding", "ClusterRoleBinding"):
        assert {account for _, account in bound(found, kind)} <= operator


@pytest.mark.parametrize("name", CASES)
def test_no_role_has_a_wildcard(name: str) -> None:
    """Each resource and each verb is written out; nothing can be escalated."""
    for kind in ("Role", "ClusterRole"):
        for rule in rules(case(name), kind):
            words = {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
            assert not words & {"*", "escalate", "bind", "impersonate", "serviceaccounts/token", "pods/exec"}


@pytest.mark.parametrize("name", [n for n in CASES if n not in {"one-pod-cluster", "scaled-everything"}])
def test_without_cluster_scope_nothing_is_granted_in_the_cluster_as_a_whole(name: str) -> None:
    """The process holds Roles in the namespaces that it serves; ClusterRoles are people's, and bound to nobody."""
    found = case(name)
    assert bound(found, "ClusterRoleBinding") == []
    assert all(
        any(
            label.startswith("rbac.authorization.k8s.io/aggregate-to-")
            for label in role["metadata"]["labels"]
        )
        for role in of_kind(found, "ClusterRole")
    )


def test_each_namespace_that_is_served_has_its_role() -> None:
    """And the operator's own namespace one for Lease, keys and certificate."""
    found = case("one-pod-namespaces-and-class")
    roles = sorted((r["metadata"]["namespace"], r["metadata"]["name"]) for r in of_kind(found, "Role"))
    assert roles == [
        ("team-a", f"{NAMESPACE}-blue"),
        ("team-b", f"{NAMESPACE}-blue"),
        (NAMESPACE, "blue-own"),
    ]


def test_tocsins_kinds_are_read_and_only_their_status_is_written() -> None:
    """Git owns what is declared."""
    for name, kind in (("one-pod-default", "Role"), ("one-pod-cluster", "ClusterRole")):
        role = next(r for r in of_kind(case(name), kind) if r["metadata"]["name"] == f"{NAMESPACE}-tocsin")
        granted = {
            (resource, verb)
            for rule in role["rules"]
            if OWN in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }
        assert {verb for resource, verb in granted if "/" not in resource} == {"get", "list", "watch"}
        assert {verb for resource, verb in granted if "/" in resource} == {"patch"}


def test_people_who_may_edit_may_edit_tocsins_objects() -> None:
    """By aggregation into Kubernetes' own roles; nobody may write a status."""
    view, edit = sorted(of_kind(case("one-pod-default"), "ClusterRole"), key=lambda r: len(r["rules"]))[::-1]
    assert {verb for rule in view["rules"] for verb in rule["verbs"]} == {"get", "list", "watch"}
    assert {verb for rule in edit["rules"] for verb in rule["verbs"]} == {
        "create",
        "update",
        "patch",
        "delete",
        "deletecollection",
    }
    assert not any("/" in resource for rule in edit["rules"] for resource in rule["resources"])


def test_keys_that_are_given_are_only_read() -> None:
    """With existing Secrets the operator may create none in its own namespace."""
    (role,) = [
        r for r in of_kind(case("one-pod-postgresql"), "Role") if r["metadata"]["name"] == "tocsin-own"
    ]
    secrets = [rule for rule in role["rules"] if "secrets" in rule["resources"]]
    assert {(name, *rule["verbs"]) for rule in secrets for name in rule["resourceNames"]} == {
        ("given-keys", "get"),
        ("given-certificate", "get"),
    }


@pytest.mark.parametrize("name", CASES)
def test_no_template_makes_a_secret(name: str) -> None:
    """Rendered manifests are kept in git and in release records, where no secret belongs."""
    assert of_kind(case(name), "Secret") == []


def test_roles_can_be_made_by_somebody_else() -> None:
    """Where an administrator grants permissions, the chart asks for none."""
    found = manifests({"rbac": {"create": False, "aggregate": False}})
    assert of_kind(found, "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding") == []


def test_only_alert_urls_are_open_to_the_outside() -> None:
    """Neither API nor metrics nor admission are behind the Ingress or HTTPRoute of senders."""
    found = case("scaled-everything")
    (route,) = of_kind(found, "HTTPRoute")
    outside = {m["path"]["value"] for rule in route["spec"]["rules"] for m in rule["matches"]}
    (ingress,) = [i for i in of_kind(found, "Ingress") if i["metadata"]["name"] == "tocsin"]
    outside |= {path["path"] for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]}
    assert outside == {"/integrations/v1/", "/v1/namespaces/"}


def test_no_password_is_in_what_is_rendered() -> None:
    """Database, e-mail and metrics secrets are referred to, never repeated."""
    text = rendered({"mode": "scaled", "database": {"existingSecret": "db"}})
    assert "postgresql://" not in text
