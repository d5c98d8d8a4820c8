"""The guard alone: tokens and scopes, and the rules for a machine without tokens."""

from __future__ import annotations

import hashlib

import pytest
from aiohttp.test_utils import make_mocked_request

from tocsin.console.api.guard import (
    ApiToken,
    Guard,
    Refused,
    Scope,
    is_local_host,
    is_loopback,
    make_token,
    parse_tokens,
)

READER = "r" * 32
ACTOR = "a" * 32
TOKENS = parse_tokens(f"dashboards read {READER}  # a comment\n\n# whole line\nchatbot act {ACTOR}\n")


def request(method: str = "GET", **headers: str):
    return make_mocked_request(
        method, "/api/v1/alert_groups", headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


@pytest.mark.parametrize("header", [f"Bearer {READER}", f"bearer  {READER}", READER])
def test_a_known_token_is_admitted_with_its_scopes(header: str) -> None:
    """`Bearer <token>`, any case, and the bare token of OnCall's API name the same caller."""
    caller = Guard(tokens=TOKENS, listen=("0.0.0.0",)).admit(request(Authorization=header))
    assert (caller.name, caller.may(Scope.READ), caller.may(Scope.ACT)) == ("dashboards", True, False)


def test_act_includes_read() -> None:
    """A token that may act may also read."""
    caller = Guard(tokens=TOKENS).admit(request(Authorization=ACTOR))
    assert caller.scopes == {Scope.READ, Scope.ACT}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {READER}"},
        {"Authorization": ""},
    ],
)
def test_anything_else_is_refused(headers: dict[str, str]) -> None:
    """No header, a wrong token, another scheme: 401, and the message quotes nothing that was sent."""
    with pytest.raises(Refused) as refused:
        Guard(tokens=TOKENS, listen=("127.0.0.1",)).admit(request(**headers))
    assert refused.value.status == 401
    assert READER not in str(refused.value) and "wrong" not in str(refused.value)


def test_with_tokens_loopback_is_no_credential() -> None:
    """Once a token is configured, a local request needs it too."""
    with pytest.raises(Refused):
        Guard(tokens=TOKENS, listen=("127.0.0.1",)).admit(request(Host="localhost:8081"))


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8081", "127.0.0.1:8081", "127.0.0.1", "[::1]:8081", "[::1]", "LOCALHOST:1"],
)
def test_without_tokens_a_loopback_listener_serves_local_hosts(host: str) -> None:
    """Host in localhost, 127.0.0.1, [::1], any port."""
    caller = Guard(listen=("127.0.0.1", "::1")).admit(request(Host=host))
    assert (caller.name, caller.may(Scope.ACT)) == ("local", True)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.nip.io:8081",
        "127.0.0.2",
        "::1",
        "localhost:80x",
        "localhost:",
        "",
        "user@localhost",
    ],
)
def test_other_hosts_are_refused(host: str) -> None:
    """DNS rebinding: a foreign name that resolves to 127.0.0.1 is not served."""
    assert not is_local_host(host)
    with pytest.raises(Refused):
        Guard(listen=("127.0.0.1",)).admit(request(Host=host))


@pytest.mark.parametrize("listen", [(), ("0.0.0.0",), ("::",), ("127.0.0.1", "10.0.0.5"), ("tocsin.svc",)])
def test_without_tokens_any_other_listener_serves_nobody(listen: tuple[str, ...]) -> None:
    """What counts is the address listened on, not where the peer comes from."""
    with pytest.raises(Refused, match="token"):
        Guard(listen=listen).admit(request(Host="localhost:8081"))


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:9999", "file://"])
def test_a_foreign_origin_is_refused(origin: str) -> None:
    """A page of another site, or of another port of this machine, does not get in through the browser."""
    with pytest.raises(Refused, match="Origin"):
        Guard(listen=("localhost",)).admit(request(Host="localhost:8081", Origin=origin))


def test_the_own_origin_is_served() -> None:
    """Pages of the console itself carry the Host as their Origin."""
    made = request(
        "POST", Host="localhost:8081", Origin="http://localhost:8081", Content_Type="application/json"
    )
    assert Guard(listen=("127.0.0.1",)).admit(made).name == "local"


def test_cross_site_fetches_without_origin_are_refused() -> None:
    """Browsers omit Origin on plain GETs of foreign pages but say so in Sec-Fetch-Site."""
    with pytest.raises(Refused):
        Guard(listen=("127.0.0.1",)).admit(request(Host="localhost", Sec_Fetch_Site="cross-site"))


@pytest.mark.parametrize(
    "media", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
def test_a_local_write_needs_a_json_media_type(media: str) -> None:
    """Forms and plain text are what a foreign page can send without asking; JSON it cannot."""
    headers = {"Host": "localhost", **({"Content-Type": media} if media else {})}
    with pytest.raises(Refused, match="application/json"):
        Guard(listen=("127.0.0.1",)).admit(make_mocked_request("POST", "/", headers=headers))


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("example.org", False),
        ("", False),
    ],
)
def test_loopback_addresses(address: str, expected: bool) -> None:
    """Names other than localhost count as reachable from outside."""
    assert is_loopback(address) is expected


def test_only_the_digest_is_kept() -> None:
    """A token object holds its SHA-256 and nothing else of the token."""
    token = make_token("x", READER, ["read"])
    assert token == ApiToken(
        name="x", digest=hashlib.sha256(READER.encode()).digest(), scopes=frozenset({Scope.READ})
    )
    assert READER not in repr(token)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("one two", "line 1"),
        (f"# c\nx write {READER}", "line 2.*unknown scope"),
        ("x read short", "fewer than 20"),
        (f"x read {READER}\ny read {READER}", "twice"),
    ],
)
def test_bad_token_files_name_the_line_and_never_the_token(text: str, message: str) -> None:
    """Errors are for logs."""
    with pytest.raises(ValueError, match=message) as error:
        parse_tokens(text)
    assert READER not in str(error.value) and "short" not in str(error.value)
