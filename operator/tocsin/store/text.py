"""Text and bytes on their way into a database: what PostgreSQL cannot hold is replaced, what is long is compressed."""

from __future__ import annotations

import re
import threading

import msgspec
import zstandard
from msgspec.structs import replace

from tocsin.flow.decision import Outcome

OUTCOME_LIMIT = 4096
"""Most bytes of an outcome's JSON (DESIGN section 2, data rules)."""

TITLE_LIMIT = 1500
"""Most characters of a group's title (alert-flow R-OBJ-8)."""

TRUNCATED = "truncated"
"""The note on an outcome that was cut."""

UNPACK_LIMIT = 64 * 1024 * 1024

_SURROGATES = re.compile("[\ud800-\udfff]")
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Outcome)
_local = threading.local()


def clean(text: str) -> str:
    """`text` with NUL and lone surrogates as U+FFFD: neither fits into a database's UTF-8 text."""
    if "\x00" in text:
        text = text.replace("\x00", "\ufffd")
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def cut(text: str, limit: int) -> str:
    """At most `limit` characters, the last one an ellipsis where something is missing."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _compressor() -> zstandard.ZstdCompressor:
    """One per thread: they cannot be shared."""
    compressor: zstandard.ZstdCompressor | None = getattr(_local, "compressor", None)
    if compressor is None:
        compressor = _local.compressor = zstandard.ZstdCompressor(level=1)
    return compressor


def pack(data: bytes) -> bytes:
    """zstd, fast level."""
    return _compressor().compress(data)


def pack_all(data: list[bytes]) -> list[bytes]:
    """`pack` of each, giving up the interpreter once for all of them, so that the event loop runs meanwhile."""
    if len(data) < 2 or not all(data):
        return [pack(one) for one in data]
    bodies: list[bytes | bytearray | memoryview[int]] = [*data]
    packed = _compressor().multi_compress_to_buffer(bodies)
    return [packed[at].tobytes() for at in range(len(data))]


def unpack(data: bytes) -> bytes:
    """The inverse of `pack`, never more than 64 MiB. Raises ValueError on foreign bytes."""
    try:
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=UNPACK_LIMIT)
    except zstandard.ZstdError as error:
        raise ValueError("the stored bytes are not zstd") from error


def encode_outcome(outcome: Outcome) -> bytes:
    """JSON of at most 4 KiB: the longest texts are cut first, then lists lose their ends."""
    try:
        data = _encoder.encode(outcome)
    except UnicodeEncodeError:
        outcome = _cleaned(outcome)
        data = _encoder.encode(outcome)
    return data if len(data) <= OUTCOME_LIMIT else _shrink(outcome)


def decode_outcome(data: bytes) -> Outcome:
    return _decoder.decode(data)


def _cleaned(outcome: Outcome) -> Outcome:
    return replace(
        outcome,
        route=clean(outcome.route),
        title=clean(outcome.title),
        grouping_id=clean(outcome.grouping_id),
        source_link=clean(outcome.source_link),
        errors=tuple(replace(e, message=clean(e.message)) for e in outcome.errors),
        dropped=tuple(replace(d, key=clean(d.key)) for d in outcome.dropped),
        notes=tuple(clean(n) for n in outcome.notes),
    )


def _shrink(outcome: Outcome) -> bytes:
    """Halve the allowance until it fits; 8 characters and no lists always do."""
    notes = [note for note in outcome.notes if note != TRUNCATED]
    allowance, items = 1024, 64
    while True:
        smaller = replace(
            outcome,
            route=cut(outcome.route, 512),
            title=cut(outcome.title, allowance),
            grouping_id=cut(outcome.grouping_id, allowance),
            source_link=cut(outcome.source_link, allowance),
            errors=tuple(replace(e, message=cut(e.message, allowance)) for e in outcome.errors[:items]),
            dropped=tuple(replace(d, key=cut(d.key, allowance)) for d in outcome.dropped[:items]),
            windows=tuple(cut(w, 512) for w in outcome.windows[:items]),
            notes=tuple(cut(n, allowance) for n in (*notes[:items], TRUNCATED)),
        )
        data = _encoder.encode(smaller)
        if len(data) <= OUTCOME_LIMIT or (allowance <= 8 and items == 0):
            return data
        allowance, items = max(8, allowance // 2), items // 2
