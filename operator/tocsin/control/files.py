"""Which files a folder of manifests consists of, and whether any of them changed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from tocsin.api.common import Finding

SUFFIXES = (".yaml", ".yml", ".json")
MAX_FILES = 20_000
MAX_FILE_BYTES = 4 * 1024 * 1024

# Payload samples and the examples' expectations live beside manifests; they are not manifests.
SKIPPED_FOLDERS = frozenset({"payloads", "node_modules", "__pycache__"})
SKIPPED_FILES = frozenset(
    {"expected.yaml", "kustomization.yaml", "kustomization.yml", "Chart.yaml", "values.yaml"}
)


class FileStamp(msgspec.Struct, frozen=True, kw_only=True):
    """Enough of `stat` to see that a file was rewritten or swapped (a ConfigMap mount swaps symlinks)."""

    mtime_ns: int
    size: int
    inode: int


class FileText(msgspec.Struct, frozen=True, kw_only=True):
    """A file as read: its text, or the finding that says why it could not be read."""

    path: str
    text: str = ""
    finding: Finding | None = None


def manifest_files(roots: Iterable[Path]) -> Iterator[Path]:
    """The manifests below each root, sorted; a root that is a file is itself. Hidden entries are skipped."""
    for root in roots:
        if root.is_file():
            yield root
            continue
        for folder, subfolders, names in os.walk(root, followlinks=True):
            subfolders[:] = sorted(
                s for s in subfolders if not s.startswith(".") and s not in SKIPPED_FOLDERS
            )
            for name in sorted(names):
                if name.endswith(SUFFIXES) and not name.startswith(".") and name not in SKIPPED_FILES:
                    yield Path(folder) / name


def stamps(roots: Iterable[Path]) -> dict[str, FileStamp]:
    """The present state of all manifests, cheap enough to be asked several times a second."""
    found: dict[str, FileStamp] = {}
    for path in manifest_files(roots):
        try:
            status = path.stat()
        except OSError:
            continue
        found[str(path)] = FileStamp(mtime_ns=status.st_mtime_ns, size=status.st_size, inode=status.st_ino)
        if len(found) >= MAX_FILES:
            break
    return found


def read_text(path: str) -> FileText:
    """One file as UTF-8; unreadable, oversized or wrongly encoded ones become a finding."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            return _unreadable(path, "FileTooLarge", f"larger than {MAX_FILE_BYTES >> 20} MiB: split it")
        return FileText(path=path, text=data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return _unreadable(path, "NotUtf8", f"byte {error.start} is not UTF-8: save the file as UTF-8")
    except OSError as error:
        return _unreadable(path, "Unreadable", f"cannot be read: {error.strerror}")


def _unreadable(path: str, reason: str, message: str) -> FileText:
    return FileText(path=path, finding=Finding(field="", reason=reason, message=message, file=path))
