"""Secrets and one webhook in memory, with the conflicts of a real API server: for what keeps things in them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tocsin.control.kubernetes.client import ApiError


@dataclass
class Cabinet:
    """`between` is called before each creation: what others do at the worst moment."""

    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    """Method -> status of its answer."""
    requests: list[str] = field(default_factory=list)
    between: Callable[[], None] = lambda: None
    version: int = 0

    async def get(self, path: str) -> dict[str, Any]:
        self._arrive("get", path)
        return self._found(path)

    async def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self._arrive("create", path)
        self.between()
        path = f"{path}/{body['metadata']['name']}"
        if path in self.objects:
            raise ApiError(409, "AlreadyExists", path)
        return self.store(path, body)

    async def replace(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self._arrive("replace", path)
        self.between()
        if body["metadata"]["resourceVersion"] != self._found(path)["metadata"]["resourceVersion"]:
            raise ApiError(409, "Conflict", path)
        return self.store(path, body)

    async def merge(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self._arrive("merge", path)
        found = self._found(path)
        for change in body["webhooks"]:
            (entry,) = (entry for entry in found["webhooks"] if entry["name"] == change["name"])
            entry["clientConfig"] |= change["clientConfig"]
        return self.store(path, found)

    def store(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        stored = copy.deepcopy(body)
        stored.setdefault("metadata", {})["resourceVersion"] = str(self.version)
        self.objects[path] = stored
        return copy.deepcopy(stored)

    def writes(self) -> list[str]:
        return [request for request in self.requests if not request.startswith("get")]

    def _found(self, path: str) -> dict[str, Any]:
        if path not in self.objects:
            raise ApiError(404, "NotFound", path)
        return copy.deepcopy(self.objects[path])

    def _arrive(self, method: str, path: str) -> None:
        self.requests.append(f"{method} {path}")
        if method in self.refused:
            raise ApiError(self.refused[method], "Refused", f"{method} is refused")
