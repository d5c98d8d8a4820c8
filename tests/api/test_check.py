"""What the check says: field path, reason, what to do and what is allowed."""

from __future__ import annotations

import pytest

from tocsin.api.check import belongs, check, check_status, complete
from tocsin.api.common import Finding, Severity


def route(**spec):
    return {
        "apiVersion": "tocsin.dev/v1alpha1",
        "kind": "AlertRoute",
        "metadata": {"name": "critical", "namespace": "payments"},
        "spec": {"parentRefs": [{"name": "am"}], "match": {"regex": "x"}, **spec},
    }


def integration(**spec):
    return {**route(), "kind": "Integration", "spec": {"type": "webhook", **spec}}


def window(**schedule):
    spec = {
        "mode": "Debug",
        "integrationSelector": {},
        "schedule": {"start": "2026-11-28T22:00", "duration": "2h", **schedule},
    }
    return {**route(), "kind": "MaintenanceWindow", "spec": spec}


def only(document, **options):
    (finding,) = check(document, **options)
    assert finding.severity is Severity.ERROR
    return finding.field, str(finding.reason), finding.message


def test_a_good_manifest_has_no_findings():
    """Status and what the API server adds to metadata are no mistakes."""
    document = route()
    document["metadata"] |= {"uid": "u", "resourceVersion": "1", "labels": {"a/b": ""}, "annotations": None}
    document["status"] = {"anything": 1}
    assert check(document) == ()


@pytest.mark.parametrize(
    ("document", "field", "meant"),
    [
        (route(escalationchainRef={"name": "a"}), "spec.escalationchainRef", "escalationChainRef"),
        (route(escalation_chain_ref={"name": "a"}), "spec.escalation_chain_ref", "escalationChainRef"),
        (route(prority=1), "spec.prority", "priority"),
        (integration(templates={"groupingKey": "x"}), "spec.templates.groupingKey", "groupingId"),
        (integration(auth={"mod": "Token"}), "spec.auth.mod", "mode"),
        (integration(labels=[{"key": "a", "value": "b", "vlaue": "c"}]), "spec.labels[0].vlaue", "value"),
        ({**route(), "sepc": {}}, "sepc", "spec"),
        ({**route(), "metadata": {"name": "a", "namespce": "b"}}, "metadata.namespce", "namespace"),
    ],
)
def test_unknown_fields_get_a_suggestion(document, field, meant):
    """A misspelt field is an error that names what was probably meant."""
    assert only(document) == (field, "UnknownField", f"unknown field; did you mean `{meant}`?")


def test_unknown_field_without_a_neighbour_lists_what_is_known():
    """Nothing similar: the fields that there are."""
    assert only(window(xyzzy=1))[2] == (
        "unknown field; known here: duration, exceptions, recurrence, start, timeZone"
    )


def test_a_misspelt_field_is_one_mistake():
    """The rule that misses the field does not complain as well."""
    document = route(match={"tempalte": "x"})
    assert only(document)[0] == "spec.match.tempalte"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"kind": "AlertRoutes"}, ("kind", "UnknownKind", "did you mean `AlertRoute`?")),
        ({"kind": "alertroute"}, ("kind", "UnknownKind", "did you mean `AlertRoute`?")),
        ({"kind": "Xyz"}, ("kind", "UnknownKind", "Tocsin has AlertRoute, AlertTemplate")),
        ({"kind": None}, ("kind", "Required", "one of AlertRoute")),
        ({"apiVersion": "tocsin.dev/v1"}, ("apiVersion", "UnknownVersion", "write `tocsin.dev/v1alpha1`")),
        ({"apiVersion": None}, ("apiVersion", "UnknownVersion", "write `tocsin.dev/v1alpha1`")),
    ],
)
def test_version_and_kind(change, expected):
    """A wrong version or kind says which to write."""
    field, reason, message = only({**route(), **change})
    assert (field, reason) == expected[:2]
    assert expected[2] in message


@pytest.mark.parametrize(
    ("metadata", "field", "reason"),
    [
        (None, "metadata", "Required"),
        ({}, "metadata.name", "Required"),
        ("x", "metadata", "WrongType"),
        ({"name": "Upper"}, "metadata.name", "InvalidName"),
        ({"name": "a..b"}, "metadata.name", "InvalidName"),
        ({"name": "a" * 254}, "metadata.name", "InvalidName"),
        ({"name": 12}, "metadata.name", "WrongType"),
        ({"name": "a", "namespace": "a.b"}, "metadata.namespace", "InvalidName"),
        ({"name": "a", "labels": {"a": True}}, "metadata.labels.a", "WrongType"),
        ({"name": "a", "labels": {"a b": "c"}}, "metadata.labels[a b]", "InvalidValue"),
        ({"name": "a", "labels": {"x.y/a": "c d"}}, "metadata.labels[x.y/a]", "InvalidValue"),
        ({"name": "a", "labels": []}, "metadata.labels", "WrongType"),
        ({"name": "a", "annotations": {"a": 1}}, "metadata.annotations.a", "WrongType"),
        ({"name": "a", "annotations": {"a": "x" * 262_144}}, "metadata.annotations", "TooLong"),
    ],
)
def test_metadata(metadata, field, reason):
    """Names, namespaces, labels and annotations follow the rules of Kubernetes."""
    assert only({**route(), "metadata": metadata})[:2] == (field, reason)


def test_rules_of_the_whole_object_wait_for_metadata():
    """A rule about the name does not run without one."""
    assert only({**integration(), "metadata": {}})[:2] == ("metadata.name", "Required")


@pytest.mark.parametrize(
    ("document", "field", "reason", "words"),
    [
        (route(priority="10"), "spec.priority", "WrongType", "a whole number, but is the text `10`; remove the quotes"),
        (route(priority=-1), "spec.priority", "InvalidValue", "allowed: 0 to 1000000"),
        (route(priority=1.5), "spec.priority", "WrongType", "the number 1.5"),
        (route(suspend="yes"), "spec.suspend", "WrongType", "true or false"),
        (route(match={"regex": True}), "spec.match.regex", "WrongType", "a text, but is true; put it in quotes"),
        (route(match=["a"]), "spec.match", "WrongType", "a mapping, but is a list"),
        (route(parentRefs=[]), "spec.parentRefs", "TooFew", "must not be empty"),
        (route(parentRefs=None), "spec.parentRefs", "Required", "the Integrations whose alerts take this route"),
        (route(parentRefs=[{}]), "spec.parentRefs[0].name", "Required", "name of the Integration"),
        (route(parentRefs=[None]), "spec.parentRefs[0]", "WrongType", "but is null"),
        (route(parentRefs=[{"name": "A"}]), "spec.parentRefs[0].name", "InvalidValue", "lower-case letters"),
        (route(chatops=[{"channelRef": {"name": "a"}}] * 17), "spec.chatops", "TooMany", "at most 16"),
        (integration(title="x" * 151), "spec.title", "TooLong", "has 151 characters, at most 150"),
        (integration(type=""), "spec.type", "TooShort", "must not be empty"),
        (integration(auth={"mode": "token"}), "spec.auth.mode", "NotSupported", "did you mean `Token`?"),
        (integration(sourceResolve="Never"), "spec.sourceResolve", "NotSupported", "allowed: Allowed, Ignored"),
        (integration(redact=["a", "b", "a"]), "spec.redact[2]", "Duplicate", "`a` is there twice"),
        (
            integration(labels=[{"key": "a", "value": "b"}, {"key": "a", "value": "c"}]),
            "spec.labels[1]",
            "Duplicate",
            "a second entry with key `a`",
        ),
        (
            integration(templatesFrom=[{"slot": "appearance.web.titel", "configMapKeyRef": {"name": "a", "key": "b"}}]),
            "spec.templatesFrom[0].slot",
            "NotSupported",
            "did you mean `appearance.web.title`?",
        ),
        (window(duration="2 hours"), "spec.schedule.duration", "InvalidValue", "for example 1h30m"),
    ],
)  # fmt: skip
def test_values(document, field, reason, words):
    """A wrong value says what it is, what is allowed, and how to mend it."""
    found = only(document)
    assert found[:2] == (field, reason)
    assert words in found[2]


def test_several_mistakes_are_all_reported():
    """One look at the findings is enough to mend the manifest."""
    document = route(priority="x", nope=1, match={"labels": [{"key": "a"}]})
    fields = [finding.field for finding in check(document)]
    assert fields == ["spec.match.labels[0].value", "spec.priority", "spec.nope"]


def test_long_values_are_cut():
    """A finding never repeats a whole template."""
    message = only(window(duration="y\n" * 15))[2]
    assert "y\\ny\\ny" in message
    assert len(message) < 200


def test_nulls_are_no_values():
    """As in the API server: null means not given, and a default takes its place."""
    value, findings = complete(integration(title=None, auth={"mode": None}, labels=None))
    assert findings == ()
    assert value["spec"]["auth"] == {"mode": "Token", "rotationOverlap": "24h"}
    assert "title" not in value["spec"]
    assert "labels" not in value["spec"]


def test_a_change_is_checked_against_the_old_object():
    """The type of an Integration stays."""
    old = integration()
    assert check(integration(title="other"), old=old) == ()
    field, _, message = only({**old, "spec": {"type": "alertmanager"}}, old=old)
    assert field == "spec.type"
    assert "create another Integration" in message


def test_status():
    """What Tocsin writes into a status is checked by the same schema."""
    condition = {
        "type": "Ready",
        "status": "True",
        "reason": "Ready",
        "message": "",
        "lastTransitionTime": "2026-11-25T22:00:00Z",
    }
    assert check_status("Integration", {"conditions": [condition], "attachedRoutes": 2}) == ()
    (finding,) = check_status("Integration", {"conditions": [{**condition, "lastTransitionTime": "now"}]})
    assert finding.field == "status.conditions[0].lastTransitionTime"
    assert isinstance(finding, Finding)


@pytest.mark.parametrize(
    ("document", "ours"),
    [
        (route(), True),
        ({**route(), "apiVersion": "tocsin.dv/v1"}, True),
        ({"apiVersion": "tocsin.dev/v1alpha1", "kind": "Xyz"}, True),
        ({"apiVersion": "v1", "kind": "ConfigMap"}, False),
        ({"apiVersion": 1, "kind": []}, False),
        ({}, False),
    ],
)
def test_belongs(document, ours):
    """A folder may hold manifests of others; a misspelt one of ours is still ours."""
    assert belongs(document) is ours
