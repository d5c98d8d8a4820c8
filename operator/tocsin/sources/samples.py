"""A type's samples: bodies as senders post them, and what the type's defaults have to make of them.

`samples/` holds one body per file: `.json`, `.form.txt` (urlencoded) or `.query.txt` (a query string without a
body). `expected.yaml` beside it says for each sample what comes out. Tests run every one through the real evaluator,
so whoever adds a type adds its proof in the same folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources.abc import Traversable
from typing import Any, Literal
from urllib.parse import parse_qsl

import msgspec

from tocsin.sources.catalogue import SAMPLES, BrokenType

EXPECTED_FILE = "expected.yaml"
FORM_ENDINGS = (".form.txt", ".query.txt")


class ExpectedAlert(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What one alert of a sample becomes; a field that is left out is not checked.

    `state` is what the alert asks for: firing, acknowledged or resolved. `message_has` are pieces of the web message.
    """

    title: str
    grouping_id: str | None = None
    state: Literal["firing", "acknowledged", "resolved"] = "firing"
    source_link: str | None = None
    image_url: str | None = None
    phone: str | None = None
    labels: dict[str, str] | None = None
    message_has: tuple[str, ...] = ()


class Expected(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """One sample: the alerts that it becomes, in order; none means that the body is no alert (a handshake).

    `now` is RFC 3339 in UTC, for types whose result depends on it. `pair` names the samples of one problem:
    all of them have the same grouping id.
    """

    alerts: tuple[ExpectedAlert, ...]
    now: str = "2026-03-02T12:00:00Z"
    pair: str = ""


def read_expected(folder: Traversable) -> Mapping[str, Expected]:
    """What a type's folder expects, by the sample's file name. Raises BrokenType with one line."""
    file = folder / EXPECTED_FILE
    try:
        return msgspec.yaml.decode(file.read_bytes(), type=dict[str, Expected])
    except msgspec.DecodeError as error:
        raise BrokenType(f"{folder.name}/{EXPECTED_FILE}: {' '.join(str(error).split())}") from error


def read_sample(folder: Traversable, name: str) -> Any:
    """One sample as the receiver would parse it: JSON, or a flat object of a form's fields (the last one counts)."""
    text = (folder / SAMPLES / name).read_text(encoding="utf-8")
    if name.endswith(FORM_ENDINGS):
        return dict(parse_qsl(text, keep_blank_values=True))
    return msgspec.json.decode(text)
