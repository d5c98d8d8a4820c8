"""Pages of lists in the shape of OnCall's public API (alert-flow R-API-3), by number or by cursor.

`page` counts from 1; nonsense falls back to the defaults and a page past the end is the last one. With `cursor`
(empty for the start) the list is walked by key instead: no page is skipped or shown twice while rows are added.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from yarl import URL

DEFAULT_SIZE = 50
LARGEST_SIZE = 1000
COUNT_LIMIT = 10_000
"""Counts are exact up to here; beyond, `count` stays here and `count_capped` is true (DESIGN section 2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paging:
    """`cursor` is None for pages by number, "" for the start of a walk by key."""

    page: int = 1
    size: int = DEFAULT_SIZE
    cursor: str | None = None

    def clamped(self, count: int) -> Paging:
        """With the page that exists, if this one is past the end."""
        return Paging(page=min(self.page, total_pages(count, self.size)), size=self.size, cursor=self.cursor)

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.size


def parse_paging(query: Mapping[str, str], default_size: int = DEFAULT_SIZE) -> Paging:
    size = min(_positive(query.get("perpage"), default_size), LARGEST_SIZE)
    return Paging(page=_positive(query.get("page"), 1), size=size, cursor=query.get("cursor"))


def total_pages(count: int, size: int) -> int:
    return max(1, -(-count // size))


def page_document(
    request: web.Request, paging: Paging, results: Sequence[Any], *, count: int, next_cursor: str | None
) -> dict[str, Any]:
    """The body of a list. `next_cursor` continues a walk by key, also after the last page that can be counted."""
    pages = total_pages(count, paging.size)
    following: dict[str, str] | None = None
    previous: dict[str, str] | None = None
    if paging.cursor is not None:
        following = {"cursor": next_cursor} if next_cursor is not None else None
    else:
        if paging.page < pages:
            following = {"page": str(paging.page + 1)}
        elif next_cursor is not None:
            following = {"cursor": next_cursor}
        if paging.page > 1:
            previous = {"page": str(paging.page - 1)}
    document: dict[str, Any] = {
        "count": count,
        "next": _link(request.url, following),
        "previous": _link(request.url, previous),
        "results": list(results),
        "page_size": paging.size,
        "current_page_number": paging.page,
        "total_pages": pages,
    }
    if count >= COUNT_LIMIT:
        document["count_capped"] = True
    return document


def paged(request: web.Request, items: Sequence[Any], default_size: int = DEFAULT_SIZE) -> dict[str, Any]:
    """A page of a list that is small enough to be had whole."""
    asked = parse_paging(request.query, default_size)
    paging = Paging(page=asked.page, size=asked.size).clamped(len(items))
    window = items[paging.offset : paging.offset + paging.size]
    return page_document(request, paging, window, count=len(items), next_cursor=None)


def _positive(text: str | None, default: int) -> int:
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > 9:
        return default
    return int(text) or default


def _link(url: URL, changes: dict[str, str] | None) -> str | None:
    if changes is None:
        return None
    kept = [(k, v) for k, v in url.query.items() if k not in ("page", "cursor")]
    return str(url.with_query([*kept, *changes.items()]))
