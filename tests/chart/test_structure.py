"""The manifests fit together: names, ports, selectors and settings meet their counterparts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import click
import pytest
import yaml
from charting import CASES, CHART, NAMESPACE, ROOT, Manifest, case, manifests, named, of_kind, pods, text_of

from tocsin.cli import main

NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
PORTS = {"ingest": 8080, "console": 8081, "health": 8082, "admission": 9443}


def selected(selector: dict[str, str], found: tuple[Manifest, ...]) -> list[Manifest]:
    """The Deployments whose pods a selector takes."""
    return [
        deployment
        for deployment in of_kind(found, "Deployment")
        if selector.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    ]


def ports(deployment: Manifest) -> dict[str, int]:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {port["name"]: port["containerPort"] for port in container["ports"]}


@pytest.mark.parametrize("name", CASES)
def test_every_manifest_is_complete_and_said_once(name: str) -> None:
    """Kind, version and a valid name; no two of the same; no duplicate key that one parser drops and another refuses."""
    found = case(name)
    identities = [(m["kind"], m["metadata"].get("namespace"), m["metadata"]["name"]) for m in found]
    assert len(identities) == len(set(identities))
    for manifest in found:
        assert manifest["apiVersion"]
        assert NAME.fullmatch(manifest["metadata"]["name"])
        if manifest["kind"] == "Service":
            assert len(manifest["metadata"]["name"]) <= 63


def _mappings(node: yaml.Node) -> Iterator[yaml.MappingNode]:
    if isinstance(node, yaml.MappingNode):
        yield node
        for key, value in node.value:
            yield from _mappings(key)
            yield from _mappings(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _mappings(item)


@pytest.mark.parametrize("name", CASES)
def test_no_key_stands_twice_in_a_mapping(name: str) -> None:
    """Some parsers take the last, others refuse the whole document."""
    for document in yaml.compose_all(text_of(name), Loader=yaml.SafeLoader):
        for mapping in () if document is None else _mappings(document):
            keys = [key.value for key, _ in mapping.value]
            assert len(keys) == len(set(keys)), keys


@pytest.mark.parametrize("name", CASES)
def test_what_selects_pods_selects_some(name: str) -> None:
    """Deployments, Services, budgets and policies find the pods that they are made for, each with its ports."""
    found = case(name)
    for deployment in of_kind(found, "Deployment"):
        assert selected(deployment["spec"]["selector"]["matchLabels"], found) == [deployment]
        assert ports(deployment).items() <= PORTS.items()
    for service in of_kind(found, "Service"):
        takes = selected(service["spec"]["selector"], found)
        assert takes
        for port in service["spec"]["ports"]:
            assert all(port["targetPort"] in ports(deployment) for deployment in takes)
    for budget in of_kind(found, "PodDisruptionBudget"):
        assert len(selected(budget["spec"]["selector"]["matchLabels"], found)) == 1
    for scaler in of_kind(found, "HorizontalPodAutoscaler"):
        deployment = named(found, "Deployment", scaler["spec"]["scaleTargetRef"]["name"])
        assert "replicas" not in deployment["spec"]
        assert deployment["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"]


@pytest.mark.parametrize("name", CASES)
def test_a_policy_opens_the_ports_that_its_pods_have(name: str) -> None:
    """No less, or nothing works; no more, or it is no protection."""
    found = case(name)
    policies = of_kind(found, "NetworkPolicy")
    assert len(policies) == len(of_kind(found, "Deployment"))
    for policy in policies:
        (deployment,) = selected(policy["spec"]["podSelector"]["matchLabels"], found)
        opened = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
        assert opened == set(ports(deployment).values())


@pytest.mark.parametrize("name", CASES)
def test_the_pod_of_helm_test_belongs_to_no_service(name: str) -> None:
    """It must neither be scraped nor sent alerts."""
    (pod,) = of_kind(case(name), "Pod")
    for service in of_kind(case(name), "Service"):
        assert not service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()


@pytest.mark.parametrize("name", CASES)
def test_what_pods_mount_is_there(name: str) -> None:
    """Each mount has its volume, each volume is mounted; probes ask a port that exists."""
    for where, pod in pods(case(name)):
        for container in pod["containers"]:
            mounts = [mount["name"] for mount in container["volumeMounts"]]
            assert sorted(mounts) == sorted(volume["name"] for volume in pod["volumes"]), where
            known = {port["name"] for port in container.get("ports", [])}
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                assert probe not in container or container[probe]["httpGet"]["port"] in known, where


def _options(words: list[str]) -> set[str]:
    """The environment variables that a command reads."""
    with click.Context(main) as context:
        command = main.get_command(context, words[0])
    assert command is not None, words
    given: list[Any] = [option.envvar for option in command.params if isinstance(option, click.Option)]
    flags = {flag for option in command.params for flag in option.opts}
    assert set(words[1:]) <= flags, words
    return {name for name in given if name} | {"TOCSIN_SECRET_KEY"}


@pytest.mark.parametrize("name", CASES)
def test_a_role_is_told_only_what_it_understands(name: str) -> None:
    """Every TOCSIN_ variable of a pod is an option of the command that it runs; a misspelt one would do nothing."""
    for deployment in of_kind(case(name), "Deployment"):
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        told = {entry["name"] for entry in container["env"]}
        ours = {variable for variable in told if variable.startswith("TOCSIN_")}
        assert ours <= _options(container["args"]), container["args"]
        assert len(told) == len(container["env"])


# What no value leads to, and why.
UNTOLD = {
    "TOCSIN_LEASE_NAMESPACE": "the pod's own",
    "TOCSIN_ALL_NAMESPACES": "instead of TOCSIN_NAMESPACE",
    "TOCSIN_NAMESPACE": "instead of TOCSIN_ALL_NAMESPACES",
    "TOCSIN_CLASS": "one-pod-namespaces-and-class",
    "TOCSIN_EMAIL_SES_TOPIC": "of another provider",
    "TOCSIN_ADMISSION_SECRET": "instead of a certificate that is given",
    "TOCSIN_ADMISSION_HOST": "instead of a certificate that is given",
    "TOCSIN_ADMISSION_WEBHOOK": "instead of a certificate that is given",
}


def test_every_option_of_a_role_can_be_set() -> None:
    """An option that is added to a command must be added here, or nobody who installs the chart can use it."""
    for deployment in of_kind(case("scaled-everything"), "Deployment"):
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        told = {entry["name"] for entry in container["env"]}
        assert _options(container["args"]) - told <= UNTOLD.keys(), container["args"]


@pytest.mark.parametrize(
    ("values", "url"),
    [
        ({}, None),
        ({"consoleUrl": "https://tocsin.example.org/"}, "https://tocsin.example.org"),
        ({"consoleIngress": {"enabled": True, "hosts": ["a.org"], "tls": [{}]}}, "https://a.org"),
        ({"chatIngress": {"enabled": True, "hosts": ["b.org"]}}, "http://b.org"),
        (
            {"chatHttpRoute": {"enabled": True, "parentRefs": [{"name": "g"}], "hostnames": ["c.org"]}},
            "https://c.org",
        ),
    ],
)
def test_messages_lead_back_to_the_console(values: dict[str, Any], url: str | None) -> None:
    """To the URL that is given, else to the first host through which the chart lets people or chat tools in."""
    (deployment,) = of_kind(manifests(values), "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    told = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert told.get("TOCSIN_CONSOLE_URL") == url


def test_in_one_process_the_console_has_the_certificate_of_the_receiver() -> None:
    """Service and Ingresses know that it speaks TLS; with processes of their own it does not."""
    values = {
        "receiving": {"tls": {"existingSecret": "tls"}},
        "consoleIngress": {"enabled": True, "hosts": ["a.org"]},
        "chatIngress": {"enabled": True, "hosts": ["b.org"]},
    }
    for mode, protocol in (("onePod", "https"), ("scaled", "http")):
        found = manifests({**values, "mode": mode, "database": {"existingSecret": "db"}})
        (port,) = named(found, "Service", "tocsin-console")["spec"]["ports"]
        assert port["appProtocol"] == protocol
        for ingress in of_kind(found, "Ingress"):
            annotations = ingress["metadata"].get("annotations", {})
            backend = annotations.get("nginx.ingress.kubernetes.io/backend-protocol", "HTTP")
            assert backend == protocol.upper()


def test_the_kinds_in_rules_and_webhook_are_those_of_the_crds() -> None:
    """A kind that is added to crds/ must be added here, or the operator may not see it."""
    found = case("one-pod-default")
    plurals = {
        yaml.safe_load(path.read_text(encoding="utf-8"))["spec"]["names"]["plural"]
        for path in (ROOT / "crds").glob("*.yaml")
    }
    for role in of_kind(found, "Role", "ClusterRole"):
        ours = [rule for rule in role["rules"] if rule["apiGroups"] == ["tocsin.dev"]]
        for rule in ours:
            assert {resource.partition("/")[0] for resource in rule["resources"]} == plurals
    (webhook,) = of_kind(found, "ValidatingWebhookConfiguration")
    assert set(webhook["webhooks"][0]["rules"][0]["resources"]) == plurals
    annotations = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["annotations"]
    listed = yaml.safe_load(annotations["artifacthub.io/crds"])
    assert {entry["name"] for entry in listed} == {f"{plural}.tocsin.dev" for plural in plurals}


def test_the_webhook_is_never_in_the_way() -> None:
    """It is on by default, has no side effects, is waited for 3 seconds at most, and ignored where it does not answer."""
    for name in ("one-pod-default", "scaled-everything"):
        (configuration,) = of_kind(case(name), "ValidatingWebhookConfiguration")
        (webhook,) = configuration["webhooks"]
        assert (webhook["failurePolicy"], webhook["sideEffects"], webhook["timeoutSeconds"]) == (
            "Ignore",
            "None",
            3,
        )
        service = webhook["clientConfig"]["service"]
        target = named(case(name), "Service", service["name"])
        assert service["port"] in [port["port"] for port in target["spec"]["ports"]]
        assert webhook["rules"][0]["operations"] == ["CREATE", "UPDATE"]


def test_the_webhook_sees_what_the_operator_serves() -> None:
    """Other namespaces and other classes are another Tocsin's business."""
    found = {"one-pod-default": [NAMESPACE], "one-pod-cluster": None}
    for name, namespaces in found.items():
        (webhook,) = of_kind(case(name), "ValidatingWebhookConfiguration")[0]["webhooks"]
        selector = webhook.get("namespaceSelector", {}).get("matchExpressions", [{}])[0]
        assert selector.get("values") == namespaces
        assert webhook["objectSelector"]["matchExpressions"] == [
            {"key": "tocsin.dev/class", "operator": "DoesNotExist"}
        ]


def test_ingress_and_gateway_allow_the_largest_body() -> None:
    """A proxy's own limit would answer 413 to what the receiver takes; who sets another one has the last word."""
    found = case("scaled-everything")
    limits = {
        ingress["metadata"]["name"]: ingress["metadata"]["annotations"][
            "nginx.ingress.kubernetes.io/proxy-body-size"
        ]
        for ingress in of_kind(found, "Ingress")
        if ingress["metadata"]["name"] != "tocsin-chat"  # what chat tools send is small
    }
    assert limits == {"tocsin": "64m", "tocsin-console": "32m"}
    (policy,) = of_kind(found, "ClientSettingsPolicy")
    assert policy["spec"]["body"]["maxSize"] == "32m"


def test_two_pods_never_share_a_sqlite_file() -> None:
    """One replica, and the old pod is gone before the new one starts."""
    (deployment,) = of_kind(case("one-pod-default"), "Deployment")
    assert (deployment["spec"]["replicas"], deployment["spec"]["strategy"]) == (1, {"type": "Recreate"})


def test_scaled_roles_are_replaced_without_a_gap() -> None:
    """New pods are ready before old ones go, and pods that take traffic stay until load balancers have let go of them."""
    for deployment in of_kind(case("scaled-minimal"), "Deployment"):
        assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
        pod = deployment["spec"]["template"]["spec"]
        wait = pod["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        assert pod["terminationGracePeriodSeconds"] > wait + 25  # what draining takes at most
