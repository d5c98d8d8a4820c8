"""Where alerts are taken: URLs, methods, tokens and types."""

from __future__ import annotations

import pytest
from receiving import integration, token_of

from tocsin.store import credentials
from tocsin.store.deadletters import list_letters

BODY = b'{"alert_uid": "u", "title": "t"}'


async def test_the_alert_url_takes_posts(receiver) -> None:
    """POST to `/integrations/v1/<type>/<token>/` stores an alert and says what became of it."""
    running = await receiver(integration("a"))
    answer = await running.post("a", BODY)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json == {
        "alert_id": answer.json["alert_id"],
        "alert_group_id": answer.json["alert_group_id"],
        "number": 1,
        "state": "firing",
        "route": "default",
        "created": True,
        "joined": False,
        "duplicate": False,
        "digested": False,
    }
    again = (await running.post("a", BODY)).json
    assert (again["created"], again["joined"], again["number"]) == (False, True, 1)
    assert again["alert_group_id"] == answer.json["alert_group_id"]
    assert await running.alerts() == 2


@pytest.mark.parametrize(
    "form",
    [
        "/integrations/v1/webhook/{token}/",
        "/integrations/v1/webhook/{token}",
        "/integrations/v1/webhook/{token}//",
        "//integrations//v1/webhook//{token}/",
        "/integrations/v1/webhook/{token}/?x=1",
        "/integrations/v1/webhook/{token}?x=1",
        "http://receiver/integrations/v1/webhook/{token}/",
        "/integrations/v1/%77ebhook/{token}/",
    ],
)
async def test_slashes_mean_nothing_and_nothing_is_redirected(receiver, form: str) -> None:
    """Every spelling of the URL is answered directly."""
    running = await receiver(integration("a"))
    answer = await running.request("POST", form.format(token=token_of("a")), BODY)
    assert answer.status == 200
    assert "location" not in answer.headers


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_other_methods_are_405_with_allow(receiver, method: str) -> None:
    """Only POST delivers; the refusal names what is allowed and nothing is stored."""
    running = await receiver(integration("a", "formatted_webhook"))
    answer = await running.request(method, running.url("a"), b"" if method != "GET" else None)
    assert answer.status == 405
    assert answer.headers["allow"] == "POST"
    if method != "HEAD":
        assert "POST" in answer.problem["action"]
    assert await running.alerts() == 0


@pytest.mark.parametrize(
    "path", ["/", "/integrations/v1/", "/integrations/v1/webhook/", "/integrations/v2/webhook/x/"]
)
async def test_urls_that_are_none_are_404(receiver, path: str) -> None:
    """A path that leads nowhere says where to find the right one."""
    running = await receiver(integration("a"))
    assert (await running.request("POST", path, BODY)).problem["status"] == 404


async def test_what_follows_the_token_must_be_known(receiver) -> None:
    """Anything but heartbeat and the API of Alertmanager below the alert URL is 404."""
    running = await receiver(integration("a"))
    assert (await running.request("POST", running.url("a", "other/"), BODY)).problem["status"] == 404
    assert (await running.request("POST", running.url("a", "api/v2/alerts"), b"[]")).problem["status"] == 404


async def test_an_unknown_token_is_403(receiver) -> None:
    """The reason says that no Integration has this token, without repeating it."""
    running = await receiver(integration("a"))
    answer = await running.request("POST", "/integrations/v1/webhook/secret-but-wrong-token-12345/", BODY)
    assert answer.status == 403
    assert "no Integration has this token" in answer.problem["detail"]
    assert b"secret-but-wrong" not in answer.body
    assert "secret-but-wrong" not in running.log.getvalue()


async def test_the_type_in_the_url_must_be_the_integrations(receiver) -> None:
    """400, naming both types; nothing is stored.

    Rules: R-ING-13
    """
    running = await receiver(integration("am", "alertmanager"), integration("ga", "grafana_alerting"))
    for name, kind in (
        ("am", "grafana"),
        ("am", "grafana_alerting"),
        ("ga", "alertmanager"),
        ("ga", "nonsense"),
    ):
        answer = await running.request("POST", f"/integrations/v1/{kind}/{token_of(name)}/", BODY)
        assert answer.status == 400
        assert repr(kind) in answer.problem["detail"]
        assert (
            repr(running.objects[next(i for i in running.objects if i.name == name)].spec.type)
            in answer.problem["detail"]
        )
    assert await running.alerts() == 0


@pytest.mark.parametrize("kind", ["manual", "maintenance", "direct_paging", "inbound_email"])
async def test_types_without_an_alert_url_take_nothing(receiver, kind: str) -> None:
    """404, whichever type the URL names."""
    running = await receiver(integration("a", kind))
    for named in (kind, "webhook"):
        path = f"/integrations/v1/{named}/{token_of('a')}/"
        assert (await running.request("POST", path, BODY)).problem["status"] == 404
    assert await running.alerts() == 0


async def test_a_new_token_is_known_at_once(receiver) -> None:
    """No cache delays a token that the store already holds."""
    running = await receiver(integration("a"))
    await running.put_token("a", "fresh-token-1234567890", overlap=10**9)
    running.clock[0] += 2
    assert (
        await running.request("POST", "/integrations/v1/webhook/fresh-token-1234567890/", BODY)
    ).status == 200
    assert (await running.post("a", BODY)).status == 200, "the old token counts during its overlap"


async def test_a_rotated_token_ends_with_its_overlap(receiver) -> None:
    """After the overlap the old token is unknown."""
    running = await receiver(integration("a"))
    await running.put_token("a", "fresh-token-1234567890", overlap=1, ago=10**9)
    await running.credentials.refresh()
    assert (await running.post("a", BODY)).status == 403
    assert (
        await running.request("POST", "/integrations/v1/webhook/fresh-token-1234567890/", BODY)
    ).status == 200


async def test_a_suspended_integration_answers_into_the_dead_letters(receiver) -> None:
    """200, the answer says that nobody is alerted, the body is kept as it came."""
    running = await receiver(integration("a", suspend=True))
    answer = await running.post("a", BODY)
    assert answer.status == 200
    assert answer.json["reason"] == "suspended"
    assert "nobody is alerted" in answer.json["detail"]
    assert await running.dead_letters() == [("suspended", BODY)]
    assert await running.alerts() == 0
    assert running.metric("tocsin_dead_letters_total", integration="default/a", reason="suspended") == 1


async def test_what_is_masked_in_alerts_is_masked_in_dead_letters(receiver) -> None:
    """`spec.redact` holds for bodies that become no alert, too."""
    running = await receiver(integration("a", suspend=True, redact=["password"]))
    await running.post("a", {"password": "hunter2", "title": "t"})
    [(_, body)] = await running.dead_letters()
    assert b"hunter2" not in body
    assert b'"title":"t"' in body


async def test_a_deleted_integration_answers_for_a_grace_period_then_404(receiver) -> None:
    """What a bad prune would have lost is among the dead letters; later the URL is gone."""
    running = await receiver(integration("a"), integration("b"))
    url = running.url("a")
    await running.delete("a", until=running.environment.now() + 10**9)
    answer = await running.request("POST", url, BODY)
    assert (answer.status, answer.json["reason"]) == (200, "deleted")
    assert await running.dead_letters() == [("deleted", BODY)]
    letters = await running.store.read(list_letters)
    assert str(letters.items[0].integration) == "Integration/default/a"
    await running.put_token("a", token_of("a"))
    await running.store.write(
        lambda c: credentials.entomb(c, letters.items[0].integration, running.environment.now() - 1)
    )
    await running.credentials.refresh()
    assert (await running.request("POST", url, BODY)).problem["status"] == 404
    assert (await running.post("b", BODY)).status == 200


async def test_a_token_without_its_integration_in_the_flow_is_told_to_wait(receiver) -> None:
    """Between the token and the flow that holds its Integration the sender is asked to send again."""
    running = await receiver(integration("a"))
    await running.put_token("later", token_of("later"))
    await running.credentials.refresh()
    answer = await running.request("POST", f"/integrations/v1/webhook/{token_of('later')}/", BODY)
    assert answer.problem["status"] == 503
    assert int(answer.headers["retry-after"]) > 0


async def test_not_ready_is_503_with_the_reason(receiver) -> None:
    """A receiver that cannot enforce the current flow takes no alerts, so that the sender tries again."""
    running = await receiver(integration("a"))
    running.live.not_ready = "the store has not answered for 12 s"
    answer = await running.post("a", BODY)
    assert answer.status == 503
    assert answer.headers["retry-after"] == "5"
    assert "12 s" in answer.problem["detail"]
    ready = await running.request("GET", "/-/ready")
    assert (ready.status, b"12 s" in ready.body) == (503, True)
    assert (await running.request("GET", "/-/healthy")).status == 200
