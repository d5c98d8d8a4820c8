"""Reading integration types from folders of data.

A type is a folder that holds a `type.yaml` (the shape of `sources.model.SourceType`). Its name is the type's slug,
so that the address bar, the manifest and the repository say the same word. `samples/example.json`, if there is one,
is the payload of the demo alert. Nothing is registered anywhere: a new folder is a new type.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Any

import msgspec

from tocsin.sources.model import SourceType

TYPE_FILE = "type.yaml"
SAMPLES = "samples"
EXAMPLE_FILE = "example.json"
SLUG = re.compile(r"[a-z0-9]([_a-z0-9]*[a-z0-9])?")
"""The same pattern as `Integration.spec.type`: what does not match could never be named by an Integration."""


class BrokenType(Exception):
    """A type's folder is not what it has to be; the message is one line with file and field."""


@cache
def load_types() -> Mapping[str, SourceType]:
    """All packaged types by slug, sorted, read once per process; the mapping is read-only. Raises BrokenType."""
    return read_types(files(__package__))


def read_types(root: Traversable) -> Mapping[str, SourceType]:
    """The types of every folder below `root` that has a `type.yaml`. Raises BrokenType on the first that is bad."""
    folders = (entry for entry in root.iterdir() if entry.is_dir() and (entry / TYPE_FILE).is_file())
    found = (read_type(folder) for folder in sorted(folders, key=lambda folder: folder.name))
    return MappingProxyType({source_type.slug: source_type for source_type in found})


def read_type(folder: Traversable) -> SourceType:
    """One type. Unknown fields and wrong shapes are refused: a misspelt field would silently be no default."""
    place = f"{folder.name}/{TYPE_FILE}"
    try:
        source_type = msgspec.yaml.decode((folder / TYPE_FILE).read_bytes(), type=SourceType)
    except msgspec.DecodeError as error:
        raise BrokenType(f"{place}: {' '.join(str(error).split())}") from error
    if source_type.slug != folder.name or not SLUG.fullmatch(source_type.slug):
        raise BrokenType(
            f"{place}: slug {source_type.slug!r} has to equal the folder's name and match {SLUG.pattern}"
        )
    for field in ("title", "description", "fallback_title"):
        if not getattr(source_type, field):
            raise BrokenType(f"{place}: {field} is missing")
    example = _example(folder)
    return source_type if example is None else msgspec.structs.replace(source_type, example=example)


def _example(folder: Traversable) -> Any:
    file = folder / SAMPLES / EXAMPLE_FILE
    if not file.is_file():
        return None
    try:
        return msgspec.json.decode(file.read_bytes())
    except msgspec.DecodeError as error:
        raise BrokenType(f"{folder.name}/{SAMPLES}/{EXAMPLE_FILE}: {error}") from error
