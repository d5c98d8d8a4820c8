"""Forms, multipart and query strings, for the types that declare them."""

from __future__ import annotations

import json

import pytest
from receiving import PAYLOADS, integration

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=x"


def part(name: str, text: str, more: str = "") -> str:
    return f'--x\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{text}\r\n'


async def test_forms_are_flat_objects_of_text(receiver) -> None:
    """Repeated keys keep the last value, blanks stay, `+` and `%2B` are told apart, odd keys are keys.

    Rules: R-ING-18
    """
    running = await receiver(integration("a"))
    answer = await running.post(
        "a", b"id=7&tag=a&tag=b&empty=&sum=1%2B1+x&__proto__=1&novalue&&=x", {"Content-Type": FORM}
    )
    assert answer.status == 200
    expected = {"id": "7", "tag": "b", "empty": "", "sum": "1+1 x", "__proto__": "1", "novalue": "", "": "x"}
    assert await running.payloads() == [expected]


@pytest.mark.parametrize(
    ("body", "charset", "text", "note"),
    [
        (b"n=K%F6ln", "; charset=iso-8859-1", "Köln", ""),
        (b"n=K%C3%B6ln", "", "Köln", ""),
        (b"n=K\xc3\xb6ln", "; charset=utf-8", "Köln", ""),
        (b"n=K%F6ln", "", "Köln", "charset-guessed"),
        (b"n=%80", "; charset=windows-1252", "€", ""),
        (b"n=a%00b", "", "a\ufffdb", "nul-replaced"),
    ],
)
async def test_the_charset_of_a_form_is_honoured(
    receiver, body: bytes, charset: str, text: str, note: str
) -> None:
    """The declared one, else UTF-8, else Windows-1252, which is noted."""
    running = await receiver(integration("a"))
    assert (await running.post("a", body, {"Content-Type": FORM + charset})).status == 200
    assert await running.payloads() == [{"n": text}]
    assert not note or note in (await running.outcomes())[0].notes


@pytest.mark.parametrize("charset", ["rot13", "zlib", "punycode", "nonsense"])
async def test_charsets_that_are_none_are_refused(receiver, charset: str) -> None:
    running = await receiver(integration("a"))
    problem = (await running.post("a", b"a=1", {"Content-Type": f"{FORM}; charset={charset}"})).problem
    assert (problem["status"], problem["field"]) == (400, "header Content-Type")


async def test_many_fields_up_to_the_limit(receiver) -> None:
    """2,000 keys do no harm; beyond 10,000 the sender is asked for JSON."""
    running = await receiver(integration("a"))
    assert (
        await running.post("a", b"&".join(b"k%d=v" % n for n in range(2000)), {"Content-Type": FORM})
    ).status == 200
    assert len((await running.payloads())[0]) == 2000
    too_many = await running.post("a", b"&".join(b"k%d=v" % n for n in range(10_001)), {"Content-Type": FORM})
    assert too_many.problem["limit"] == 10_000


async def test_multipart_text_fields_are_taken(receiver) -> None:
    running = await receiver(integration("a"))
    body = part("id", "7") + part("text", "two\r\nlines") + part("id", "8", "; x=y") + "--x--\r\n"
    assert (await running.post("a", body.encode(), {"Content-Type": MULTIPART})).status == 200
    assert await running.payloads() == [{"id": "8", "text": "two\r\nlines"}]


async def test_multipart_files_are_refused(receiver) -> None:
    """400 in words, also for a file among text fields.

    Rules: R-ING-15
    """
    running = await receiver(integration("a"))
    body = part("id", "7") + part("f", "content", '; filename="a.txt"') + "--x--\r\n"
    problem = (await running.post("a", body.encode(), {"Content-Type": MULTIPART})).problem
    assert (problem["status"], "file" in problem["detail"]) == (400, True)
    assert await running.alerts() == 0


@pytest.mark.parametrize(
    "body",
    [
        "",
        "--x",
        "--x--",
        part("id", "7"),
        "--x\r\nnot a header\r\n\r\n7\r\n--x--",
        "--x\r\nfoo\r\n--x--",
        "--xy\r\n--xy--",
    ],
)
async def test_broken_multipart_is_400(receiver, body: str) -> None:
    running = await receiver(integration("a"))
    assert (await running.post("a", body.encode(), {"Content-Type": MULTIPART})).problem["status"] == 400
    assert (await running.post("a", b"--x--", {"Content-Type": "multipart/form-data"})).problem[
        "status"
    ] == 400


@pytest.mark.parametrize("field", ["payload", "data"])
async def test_one_field_that_holds_the_json_is_the_json(receiver, field: str) -> None:
    """As a form (GitHub) and as multipart (Uptime Kuma)."""
    running = await receiver(integration("a"))
    inner = {"title": "t & more", "list": [1, {"a": None}]}
    from urllib.parse import urlencode

    form = urlencode({field: json.dumps(inner)}).encode()
    assert (await running.post("a", form, {"Content-Type": FORM})).status == 200
    assert (
        await running.post(
            "a", (part(field, json.dumps(inner)) + "--x--").encode(), {"Content-Type": MULTIPART}
        )
    ).status == 200
    assert await running.payloads() == [inner, inner]
    assert (await running.post("a", f"{field}=[1".encode(), {"Content-Type": FORM})).problem["status"] == 400
    assert (await running.post("a", f"{field}=text".encode(), {"Content-Type": FORM})).status == 200


async def test_types_without_forms_say_so(receiver) -> None:
    """415 in words."""
    running = await receiver(integration("a", "alertmanager"))
    for body, media_type in ((b"a=1", FORM), ((part("a", "1") + "--x--").encode(), MULTIPART)):
        problem = (await running.post("a", body, {"Content-Type": media_type})).problem
        assert (problem["status"], "alertmanager" in problem["detail"]) == (415, True)


async def test_the_query_is_the_payload_where_the_body_is_empty(receiver) -> None:
    """Uptime services send everything in the query; types that do not take it refuse, and a body always wins."""
    running = await receiver(integration("a"), integration("b", "alertmanager"))
    query = (PAYLOADS / "uptimerobot/down_query_get.query.txt").read_text().strip()
    assert (await running.request("POST", f"{running.url('a')}?{query}", b"")).status == 200
    assert (await running.payloads())[0]["monitorID"] == "777712827"
    assert (await running.request("POST", f"{running.url('a')}?{query}", b'{"x": 1}')).status == 200
    assert (await running.payloads())[1] == {"x": 1}
    assert (await running.request("POST", f"{running.url('b')}?{query}", b"")).problem["status"] == 400


async def test_samples_of_senders_of_forms(receiver) -> None:
    """Every form and multipart sample of the collection is stored."""
    running = await receiver(integration("a"))
    manifest = json.loads((PAYLOADS / "manifest.json").read_bytes())
    sent = 0
    for name in (
        manifest["files"]
        if isinstance(manifest["files"], dict)
        else [one["file"] for one in manifest["files"]]
    ):
        if name.endswith(".form.txt"):
            answer = await running.post("a", (PAYLOADS / name).read_bytes(), {"Content-Type": FORM})
            assert answer.status == 200, (name, answer.body)
            sent += 1
    assert sent >= 8
    assert await running.alerts() == sent
