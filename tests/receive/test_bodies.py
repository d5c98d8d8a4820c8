"""What a body may be: JSON under any name, repaired where that is safe, refused in words where it is not."""

from __future__ import annotations

import gzip
import json
import random
import zlib

import pytest
from receiving import PAYLOADS, Wire, integration

FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "text/plain; charset=UTF-8",
        "application/xml",
        "application/octet-stream",
        FORM,
        "",
    ],
)
async def test_json_is_json_whatever_the_media_type_says(receiver, media_type: str) -> None:
    """A JSON object is read as such under every media type, also as the form that `curl -d` makes of it."""
    running = await receiver(integration("a", "alertmanager"))
    body = (PAYLOADS / "alertmanager/firing.json").read_bytes()
    answer = await running.post("a", body, {"Content-Type": media_type} if media_type else {})
    assert answer.status == 200
    [payload] = await running.payloads()
    assert payload["groupKey"] == json.loads(body)["groupKey"]


@pytest.mark.parametrize(
    ("body", "line", "column"),
    [
        (b"not a json", 1, 1),
        (b'{"a":1}{"b":2}', 1, 8),
        (b'{"a":1,}', 1, 7),
        (b'{"a":\n[1 ,\n ]}', 2, 4),
        (b'{\n  "policy": "p",\n  \xe2\x80\x9calert_type": "x"\n}', 3, 3),
        (b'{"a": "line\nbreak"}', 1, 12),
        (b'{"a": 1', 1, 8),
        (b"[1, 2", 1, 6),
        (gzip.compress(b"{}", mtime=0), 1, 1),
    ],
)
async def test_malformed_json_is_400_with_line_and_column(
    receiver, body: bytes, line: int, column: int
) -> None:
    """The place is in the text and as members; nothing is stored and no traceback is logged."""
    running = await receiver(integration("a"))
    problem = (await running.post("a", body)).problem
    assert (problem["status"], problem["line"], problem["column"]) == (400, line, column)
    assert f"line {line} column {column}" in problem["detail"]
    assert problem["action"]
    assert await running.alerts() == 0
    assert "Traceback" not in running.log.getvalue()


@pytest.mark.parametrize(
    "body", [b"null", b"true", b"42", b'"words"', b'"[1"', b"[1]", b"[[]]", b"[null]", b"[]"]
)
async def test_what_no_template_can_work_on_is_400(receiver, body: bytes) -> None:
    """null, scalars, and lists of anything but objects are refused in words."""
    running = await receiver(integration("a"), integration("b", "alertmanager"))
    for name in ("a", "b"):
        assert (await running.post(name, body)).problem["status"] == 400
    assert await running.alerts() == 0


async def test_the_empty_object_is_an_alert(receiver) -> None:
    running = await receiver(integration("a"))
    assert (await running.post("a", b"{}")).status == 200
    assert await running.payloads() == [{}]


async def test_an_empty_body_is_400(receiver) -> None:
    """Also when it is sent in chunks."""
    running = await receiver(integration("a"))
    assert "empty" in (await running.post("a", b"")).problem["detail"]
    wire = await Wire.open(running.port)
    answer = await wire.request("POST", running.url("a"), b"0\r\n\r\n", {"Transfer-Encoding": "chunked"})
    assert answer.problem["status"] == 400
    await wire.close()


async def test_chunked_bodies_are_read(receiver) -> None:
    """Whatever the chunks are, the alert is the same."""
    running = await receiver(integration("a"))
    wire = await Wire.open(running.port)
    chunks = (
        b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (b'{"alert', b'_uid": ', b'"u"}'))
        + b"0\r\n\r\n"
    )
    answer = await wire.request("POST", running.url("a"), chunks, {"Transfer-Encoding": "chunked"})
    assert answer.status == 200
    assert await running.payloads() == [{"alert_uid": "u"}]
    assert (await wire.request("POST", running.url("a"), b"{}")).status == 200, "the connection goes on"
    broken = await wire.request("POST", running.url("a"), b"zz\r\nxx\r\n", {"Transfer-Encoding": "chunked"})
    assert broken.problem["status"] == 400
    await wire.close()


@pytest.mark.parametrize(
    "body",
    [
        b'\xef\xbb\xbf{"title": "t"}',
        '{"title": "t"}'.encode("utf-16"),
        b'  \r\n {"title": "t"} \n',
        json.dumps(json.dumps({"title": "t"})).encode(),
    ],
)
async def test_spellings_of_the_same_json(receiver, body: bytes) -> None:
    """Byte order marks, white space, UTF-16, and JSON that was encoded twice."""
    running = await receiver(integration("a"))
    assert (await running.post("a", body)).status == 200
    assert await running.payloads() == [{"title": "t"}]


@pytest.mark.parametrize(
    ("body", "payload", "note"),
    [
        (b'{"t": "a\\u0000b", "\\u0000k": 1}', {"t": "a\ufffdb", "\ufffdk": 1}, "nul-replaced"),
        (b'{"t": "\\ud83d"}', {"t": "\ufffd"}, "surrogate-replaced"),
        (b'{"t": "\\ud83d\\ude00"}', {"t": "\U0001f600"}, ""),
        (b'{"t": NaN, "u": -Infinity, "v": 1e999}', {"t": None, "u": None, "v": None}, "nan-replaced"),
        (b'{"t": "\xff"}', {"t": "\ufffd"}, "invalid-utf8-replaced"),
        (b'{"t": "\\\\u0000"}', {"t": "\\u0000"}, ""),
        (b'{"n": 4711000000000123456}', {"n": 4711000000000123456}, ""),
        (b'{"n": 123456789012345678901234567890}', {"n": 123456789012345678901234567890}, ""),
        (b'{"n": -18446744073709551617, "f": 0.1}', {"n": -18446744073709551617, "f": 0.1}, ""),
        (b'{"a": 1, "a": 2}', {"a": 2}, ""),
    ],
)
async def test_odd_values_are_kept_or_replaced_and_noted(
    receiver, body: bytes, payload: object, note: str
) -> None:
    """Big integers are exact; what no database takes becomes U+FFFD or null, and the alert's trace says so."""
    running = await receiver(integration("a"))
    assert (await running.post("a", body)).status == 200
    assert await running.payloads() == [payload]
    [outcome] = await running.outcomes()
    assert [one for one in outcome.notes if not one.startswith("undefined")] == ([note] if note else [])


async def test_integers_beyond_all_use_are_refused(receiver) -> None:
    running = await receiver(integration("a"))
    assert "digits" in (await running.post("a", b'{"n": %s}' % (b"9" * 5000))).problem["detail"]


@pytest.mark.parametrize("shape", ["list", "object", "mixed", "string"])
async def test_nesting_is_bounded(receiver, shape: str) -> None:
    """254 levels are taken, more are 400, a hundred thousand too, whatever the parser."""
    running = await receiver(integration("a", redact=["**.password"]))

    def body(depth: int, extra: bytes = b"") -> bytes:
        match shape:
            case "list":
                return b'{"a":' + b"[" * (depth - 1) + extra + b"]" * (depth - 1) + b"}"
            case "object":
                return b'{"a":' * depth + (extra or b"1") + b"}" * depth
            case "mixed":
                return b'{"a":[' * (depth // 2) + extra + b"]}" * (depth // 2)
            case _:
                return json.dumps('{"a":' * depth + "1" + "}" * depth).encode()

    assert (await running.post("a", body(254))).status == 200
    for depth in (256, 1000, 100_000):
        assert (await running.post("a", body(depth))).problem["status"] == 400
    if shape != "string":
        assert (await running.post("a", body(254, b"NaN"))).status == 200
        assert (await running.post("a", body(256, b"NaN"))).problem["limit"] == 254
        assert (await running.post("a", b"[" * 100_000)).problem["limit"] == 254


async def test_brackets_in_texts_are_no_nesting(receiver) -> None:
    running = await receiver(integration("a"))
    assert (await running.post("a", b'{"t": "' + b'[{\\"' * 5000 + b'", "n": NaN}')).status == 200


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP", "deflate", "raw deflate", "identity"])
async def test_compressed_bodies_are_decoded(receiver, encoding: str) -> None:
    running = await receiver(integration("a"))
    body = b'{"title": "compressed"}'
    match encoding:
        case "deflate":
            packed = zlib.compress(body)
        case "raw deflate":
            packed, encoding = zlib.compress(body, wbits=-15), "deflate"
        case "identity":
            packed = body
        case _:
            packed = gzip.compress(body[:5]) + gzip.compress(body[5:])
    assert (await running.post("a", packed, {"Content-Encoding": encoding})).status == 200
    assert await running.payloads() == [{"title": "compressed"}]


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        pytest.param(b'{"a": 1}', "gzip", 400, id="not gzip"),
        pytest.param(b'{"a": 1}', "deflate", 400, id="not deflate"),
        pytest.param(gzip.compress(b'{"a": 1}', mtime=0)[:-4], "gzip", 400, id="cut short"),
        pytest.param(gzip.compress(b'{"a": 1}', mtime=0) + b"more", "gzip", 400, id="gzip and more"),
        pytest.param(zlib.compress(b'{"a": 1}') + b"more", "deflate", 400, id="deflate and more"),
        pytest.param(b"", "gzip", 400, id="nothing"),
        pytest.param(b'{"a": 1}', "br", 415, id="unknown encoding"),
        pytest.param(gzip.compress(b" " * 17 * 1024 * 1024, mtime=0), "gzip", 413, id="bomb"),
        pytest.param(gzip.compress(b"", mtime=0) * 1000, "gzip", 400, id="a thousand empty members"),
    ],
)
async def test_bodies_that_cannot_be_decoded(receiver, body: bytes, encoding: str, status: int) -> None:
    """Broken, unknown, and bombs: refused in words, and no more is unpacked than the limit."""
    running = await receiver(integration("a"))
    assert (await running.post("a", body, {"Content-Encoding": encoding})).problem["status"] == status
    assert running.metric("tocsin_bodies_in_flight_bytes") == 0


async def test_a_body_of_twenty_thousand_alerts_is_one_alert(receiver) -> None:
    """12 MB of Alertmanager's notification, counted and stored as it came."""
    running = await receiver(integration("a", "alertmanager"))
    note = "The node exporter of this host has not answered for more than five minutes; see the runbook. " * 3
    element = {
        "status": "firing",
        "labels": {"alertname": "NodeDown", "job": "node", "severity": "critical", "instance": ""},
        "annotations": {"summary": "down", "description": note},
        "startsAt": "2026-03-02T08:14:32.123Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "https://prometheus.example.com/graph?g0.expr=up+%3D%3D+0&g0.tab=1",
    }
    elements = [element | {"fingerprint": f"{n:016x}"} for n in range(20_000)]
    body = json.dumps({"version": "4", "status": "firing", "groupKey": "{}:big", "alerts": elements}).encode()
    assert 10_000_000 < len(body) < 16_000_000
    assert (await running.post("a", body)).status == 200
    [payload] = await running.payloads()
    assert (payload["numFiring"], len(payload["alerts"])) == (20_000, 20_000)
    assert running.metric("tocsin_bodies_in_flight_bytes") == 0


async def test_two_hundred_deliveries_of_one_body_are_one_group(receiver) -> None:
    """20 in parallel, 10 each: one alert, the others are answered as its duplicates."""
    import asyncio

    running = await receiver(integration("a", "alertmanager"))
    body = (PAYLOADS / "alertmanager/multi_mixed_firing_and_resolved.json").read_bytes()

    async def deliver() -> list[object]:
        wire = await Wire.open(running.port)
        answers = [(await wire.request("POST", running.url("a"), body)).json for _ in range(10)]
        await wire.close()
        return answers

    answers = [one for part in await asyncio.gather(*(deliver() for _ in range(20))) for one in part]
    assert len(answers) == 200
    assert len({one["alert_group_id"] for one in answers}) == 1
    assert len({one["alert_id"] for one in answers}) == 1
    assert sum(one["created"] for one in answers) == 1
    assert sum(one["duplicate"] for one in answers) == 199
    assert (await running.groups(), await running.alerts()) == (1, 1)
    assert running.metric("tocsin_alerts_deduplicated_total", integration="default/a") == 199


async def test_bodies_that_parse_are_what_json_makes_of_them(receiver) -> None:
    """Random JSON comes out as the standard library reads it."""
    from tocsin.receive.jsonbody import parse_json

    chance = random.Random(11)

    def value(depth: int) -> object:
        match chance.randrange(9 if depth else 7):
            case 0:
                return chance.randrange(-(10**30), 10**30)
            case 1:
                return chance.random() * 10 ** chance.randrange(-300, 300)
            case 2:
                return "".join(chr(chance.choice((34, 92, 10, 0x1F600, 0xE9, 65, 0x7F))) for _ in range(5))
            case 3:
                return chance.choice((True, False, None))
            case 4:
                return chance.randrange(2**62, 2**66)
            case 5 | 6:
                return ""
            case 7:
                return [value(depth - 1) for _ in range(chance.randrange(4))]
            case _:
                return {str(chance.randrange(9)): value(depth - 1) for _ in range(chance.randrange(4))}

    for _ in range(2000):
        expected = value(4)
        text = json.dumps(expected, ensure_ascii=chance.random() < 0.5).encode()
        assert parse_json(text) == (json.loads(text), ())
