"""Content-Encoding gzip and deflate, decoded step by step so that a small body cannot become a huge one."""

from __future__ import annotations

import zlib

from tocsin.problems import Problem, ProblemError, malformed

_STEP = 256 * 1024
_GZIP = 16 + zlib.MAX_WBITS
_ZLIB_METHOD = 8
_MEMBERS_LIMIT = 64
"""gzip files may be joined; each costs a fresh window, so their number is bounded."""


def decode(body: bytes, encoding: str, limit: int) -> bytes:
    """The decoded body. Raises ProblemError: 400 broken, 413 over `limit` bytes, 415 for another encoding."""
    match encoding.strip().lower():
        case "" | "identity":
            return body
        case "gzip" | "x-gzip":
            return _inflate(body, _GZIP, "gzip", limit)
        case "deflate":
            zlib_header = (
                len(body) > 1 and body[0] & 0x0F == _ZLIB_METHOD and (body[0] << 8 | body[1]) % 31 == 0
            )
            return _inflate(body, zlib.MAX_WBITS if zlib_header else -zlib.MAX_WBITS, "deflate", limit)
        case other:
            raise ProblemError(
                Problem(
                    status=415,
                    kind="unsupported-encoding",
                    detail=f"Content-Encoding {other[:40]!r} is not supported",
                    field="header Content-Encoding",
                    action="send gzip, deflate or no encoding",
                    headers=(("Accept-Encoding", "gzip, deflate"),),
                )
            )


def too_large(limit: int, *, decoded: bool = False) -> Problem:
    return Problem(
        status=413,
        kind="body-too-large",
        detail=f"the body is larger than {limit} bytes" + (" when decoded" if decoded else ""),
        field="body",
        action="send fewer alerts in one request (Alertmanager: max_alerts), or raise the receiver's body limit",
        facts=(("limit", limit),),
    )


def _inflate(body: bytes, window: int, name: str, limit: int) -> bytes:
    pieces: list[bytes] = []
    total = position = 0
    for _ in range(_MEMBERS_LIMIT):
        member = zlib.decompressobj(window)
        while not member.eof:
            source = member.unconsumed_tail
            if not source:
                source = body[position : position + _STEP]
                position += len(source)
            try:
                piece = member.decompress(source, _STEP)
            except zlib.error:
                raise ProblemError(
                    malformed(f"the body is not {name} although the header Content-Encoding says so")
                ) from None
            if not source and not piece and not member.eof:
                raise ProblemError(malformed(f"the {name} body ends too early", action="send the whole body"))
            total += len(piece)
            if total > limit:
                raise ProblemError(too_large(limit, decoded=True))
            pieces.append(piece)
        position -= len(member.unused_data)
        if position >= len(body) or window != _GZIP:
            break
    if body[position:].strip(b"\0"):
        raise ProblemError(malformed(f"the {name} body is followed by other bytes"))
    return b"".join(pieces)
