"""What the chart lets pods do, on the node and with the API server."""

from __future__ import annotations

from typing import Any

import pytest
from charting import CASES, NAMESPACE, Manifest, case, manifests, named, of_kind, pods, rendered

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


def asking(found: tuple[Manifest, ...]) -> dict[str, str]:
    """What has a token of the API server, and of which account."""
    return {
        where.partition("-trust-")[0]: pod["serviceAccountName"]
        for where, pod in pods(found)
        if pod["automountServiceAccountToken"]
    }


@pytest.mark.parametrize("name", CASES)
def test_only_the_operator_has_a_token(name: str) -> None:
    """Receiver, dispatcher, console and the pod of `helm test` cannot speak to the API server at all.

    Beside the operator there is at most the Job that makes the webhook trusted, with an account of its own.
    """
    found = case(name)
    for account in of_kind(found, "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False
    deployments = {f"Deployment/{d['metadata']['name']}" for d in of_kind(found, "Deployment")}
    operator = {"Deployment/tocsin-operator"} if len(deployments) > 1 else deployments
    jobs = {f"Job/{j['metadata']['name'].partition('-trust-')[0]}" for j in of_kind(found, "Job")}
    assert asking(found).keys() == operator | jobs


@pytest.mark.parametrize("name", CASES)
def test_nobody_else_is_bound_to_a_role(name: str) -> None:
    """Every binding names the account of something that has a token."""
    found = case(name)
    for kind in ("RoleBinding", "ClusterRoleBinding"):
        assert {account for _, account in bound(found, kind)} <= set(asking(found).values())


@pytest.mark.parametrize("name", CASES)
def test_no_role_has_a_wildcard(name: str) -> None:
    """Each resource and each verb is written out; nothing can be escalated."""
    for kind in ("Role", "ClusterRole"):
        for rule in rules(case(name), kind):
            words = {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
            assert not words & {"*", "escalate", "bind", "impersonate", "serviceaccounts/token", "pods/exec"}


@pytest.mark.parametrize("name", ["one-pod-default", "one-pod-postgresql", "one-pod-namespaces-and-class"])
def test_the_one_pod_has_nothing_in_the_cluster_as_a_whole(name: str) -> None:
    """Without cluster scope it holds Roles in the namespaces that it serves; other ClusterRoles are people's or the Job's."""
    found = case(name)
    (deployment,) = of_kind(found, "Deployment")
    account = deployment["spec"]["template"]["spec"]["serviceAccountName"]
    assert account not in {subject for _, subject in bound(found, "ClusterRoleBinding")}


@pytest.mark.parametrize("name", CASES)
def test_making_the_webhook_trusted_is_one_objects_matter(name: str) -> None:
    """Its permission is worth the cluster: it names the one configuration, and in the default is not the pod's that takes alerts."""
    found = case(name)
    held = {
        role["metadata"]["name"]: role["rules"]
        for role in of_kind(found, "ClusterRole")
        if any("admissionregistration.k8s.io" in rule["apiGroups"] for rule in role["rules"])
    }
    (wanted,) = {
        "one-pod-default": ["tocsin-trust"],
        "scaled-minimal": ["tocsin-operator"],
    }.get(name, [None])
    assert [account for role, account in bound(found, "ClusterRoleBinding") if role in held] == (
        [wanted] if wanted else []
    )
    for rules_of in held.values():
        (rule,) = rules_of
        (configuration,) = of_kind(found, "ValidatingWebhookConfiguration")
        assert rule["resourceNames"] == [configuration["metadata"]["name"]]
        assert set(rule["verbs"]) == {"get", "patch"}


def test_each_namespace_that_is_served_has_its_role() -> None:
    """And the operator's own namespace one for Lease, keys and certificate."""
    found = case("one-pod-namespaces-and-class")
    roles = sorted((r["metadata"]["namespace"], r["metadata"]["name"]) for r in of_kind(found, "Role"))
    assert [role for role in roles if not role[1].endswith("-trust")] == [
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
    found = case("one-pod-default")
    view, edit = (named(found, "ClusterRole", f"{NAMESPACE}-tocsin-{what}") for what in ("view", "edit"))
    assert {verb for rule in view["rules"] for verb in rule["verbs"]} == {"get", "list", "watch"}
    assert {verb for rule in edit["rules"] for verb in rule["verbs"]} == {
        "create",
        "update",
        "patch",
        "delete",
        "deletecollection",
    }
    assert not any("/" in resource for rule in edit["rules"] for resource in rule["resources"])


def test_secrets_that_are_given_need_no_permission() -> None:
    """They are mounted, or in the environment: the operator may neither read nor create any in its own namespace."""
    (role,) = [
        r for r in of_kind(case("one-pod-postgresql"), "Role") if r["metadata"]["name"] == "tocsin-own"
    ]
    assert not [rule for rule in role["rules"] if "secrets" in rule["resources"]]


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
    route = named(found, "HTTPRoute", "tocsin")
    outside = {m["path"]["value"] for rule in route["spec"]["rules"] for m in rule["matches"]}
    (ingress,) = [i for i in of_kind(found, "Ingress") if i["metadata"]["name"] == "tocsin"]
    outside |= {path["path"] for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]}
    assert outside == {"/integrations/v1/", "/v1/namespaces/"}


def test_buttons_of_chat_tools_reach_nothing_else() -> None:
    """What is open for them is one path of the console: neither API nor alert URLs."""
    found = case("scaled-everything")
    route = named(found, "HTTPRoute", "tocsin-chat")
    outside = {
        (m["path"]["value"], b["name"], b["port"])
        for rule in route["spec"]["rules"]
        for m in rule["matches"]
        for b in rule["backendRefs"]
    }
    assert outside == {("/chat/", "tocsin-console", 8081)}
    ingress = named(found, "Ingress", "tocsin-chat")
    (path,) = [path for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]]
    assert (path["path"], path["backend"]["service"]["name"]) == ("/chat/", "tocsin-console")


def test_nothing_is_open_to_the_outside_by_default() -> None:
    """Neither Ingress nor HTTPRoute nor a Service that a load balancer serves."""
    found = case("one-pod-default")
    assert of_kind(found, "Ingress", "HTTPRoute") == []
    assert {service["spec"]["type"] for service in of_kind(found, "Service")} == {"ClusterIP"}


def test_only_who_sends_may_go_out() -> None:
    """HTTP: receiver (Amazon SNS), dispatcher, console (chats). SMTP: the dispatcher. The API server: the operator."""
    found = case("scaled-everything")
    goes = {
        policy["metadata"]["name"].removeprefix("tocsin-"): {
            port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]
        }
        - {53, 5432}
        for policy in of_kind(found, "NetworkPolicy")
    }
    assert goes == {
        "operator": {443, 6443},
        "receiver": {443, 3128},
        "dispatcher": {443, 3128, 25, 465, 587},
        "console": {443, 3128},
    }


def test_no_mail_leaves_where_none_may() -> None:
    """Without ports of SMTP servers there is no rule, which would admit every port."""
    egress = {"enabled": True, "mailPorts": []}
    (policy,) = of_kind(manifests({"networkPolicy": {"egress": egress}}), "NetworkPolicy")
    assert all(rule["ports"] for rule in policy["spec"]["egress"])
    assert {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]} == {
        53,
        80,
        443,
        6443,
    }


def test_no_password_is_in_what_is_rendered() -> None:
    """Database, e-mail, metrics, proxy and watchdog secrets are referred to, never repeated."""
    text = rendered({"mode": "scaled", "database": {"existingSecret": "db"}})
    assert "postgresql://" not in text
    secrets = {
        entry["name"]: entry["valueFrom"]["secretKeyRef"]
        for _, pod in pods(case("scaled-everything"))
        for entry in pod["containers"][0].get("env", [])
        if "valueFrom" in entry
    }
    assert secrets["TOCSIN_OUTGOING_PROXY"] == {"name": "proxy", "key": "uri"}
    assert secrets["TOCSIN_WATCHDOG_URL"] == {"name": "watchdog", "key": "ping"}
