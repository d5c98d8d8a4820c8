"""A small API server: discovery, lists in pages, watches, server-side apply. For what no real one does on demand.

It can forget (a 410 in the middle of a watch), refuse, lose a deletion, and go away. What a real server checks (schema,
rules, permissions) is tested against a real one in tests/cluster.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from typing import Any, Self

import kopf
from aiohttp import web

from tocsin.api.crds import load_crds

Key = tuple[str, str, str]
"""Plural, namespace, name."""

GROUPS = {
    "tocsin.dev/v1alpha1": {crd.plural: crd.kind for crd in load_crds().values()},
    "coordination.k8s.io/v1": {"leases": "Lease"},
    "v1": {
        "secrets": "Secret",
        "configmaps": "ConfigMap",
        "namespaces": "Namespace",
        "events": "Event",
    },
}
KINDS = {plural: (group, kind) for group, kinds in GROUPS.items() for plural, kind in kinds.items()}


class FakeServer:
    """`async with FakeServer() as server`; `put` and `delete` are what people do, `requests` what Tocsin does."""

    def __init__(self) -> None:
        self.objects: dict[Key, dict[str, Any]] = {}
        self.version = 100
        self.requests: list[tuple[str, str]] = []
        self.refused: dict[str, int] = {}
        """Plural -> status of every answer about it."""
        self.expire_lists = 0
        """How many continuations of lists are answered 410."""
        self._watches: dict[str, set[asyncio.Queue[Any]]] = defaultdict(set)
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.end_watches()
        assert self._runner is not None
        await self._runner.cleanup()

    def login(self, **_: Any) -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(server=f"http://127.0.0.1:{self.port}", token="t", default_namespace="n")

    # --- what people do ---------------------------------------------------------------------------------------------

    def put(self, plural: str, name: str, *, namespace: str = "n", **content: Any) -> dict[str, Any]:
        """Creates or replaces an object; a new spec is a new generation."""
        key = (plural, "" if plural == "namespaces" else namespace, name)
        before = self.objects.get(key)
        group, kind = KINDS[plural]
        labels = content.pop("labels", (before or {}).get("metadata", {}).get("labels", {}))
        metadata: dict[str, Any] = {
            "name": name,
            "namespace": key[1],
            "labels": labels,
            "uid": before["metadata"]["uid"] if before else f"uid-{self.version}",
            "generation": before["metadata"]["generation"] if before else 1,
        }
        if before and "spec" in content and content["spec"] != before.get("spec"):
            metadata["generation"] += 1
        made = {**(before or {}), "apiVersion": group, "kind": kind, **content, "metadata": metadata}
        self._store(key, made, "MODIFIED" if before else "ADDED")
        return made

    def delete(self, plural: str, name: str, *, namespace: str = "n", silently: bool = False) -> None:
        """`silently`: no watch is told, as when it happens between a 410 and the next list."""
        gone = self.objects.pop((plural, namespace, name))
        self.version += 1
        gone["metadata"]["resourceVersion"] = str(self.version)
        if not silently:
            self._tell(plural, {"type": "DELETED", "object": gone})

    def forget(self, plural: str) -> None:
        """All watches of a kind end with 410 Gone."""
        self._tell(plural, {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}})

    def end_watches(self) -> None:
        for plural in self._watches:
            self._tell(plural, None)

    def status(self, plural: str, name: str, namespace: str = "n") -> dict[str, Any]:
        found: dict[str, Any] = self.objects[plural, namespace, name].get("status", {})
        return found

    def writes(self, what: str) -> list[str]:
        """Paths of the requests that wrote something whose path holds `what`."""
        return [path for method, path in self.requests if method != "GET" and what in path]

    # --- what an API server does --------------------------------------------------------------------------------------

    def _store(self, key: Key, made: dict[str, Any], event: str) -> dict[str, Any]:
        self.version += 1
        made["metadata"]["resourceVersion"] = str(self.version)
        self.objects[key] = made
        self._tell(key[0], {"type": event, "object": made})
        return made

    def _tell(self, plural: str, event: Any) -> None:
        for queue in self._watches[plural]:
            queue.put_nowait(json.loads(json.dumps(event)))

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.method, request.path_qs))
        parts = request.path.strip("/").split("/")
        if parts[0] == "api":
            group, rest = "v1", parts[2:]
        elif len(parts) >= 3:
            group, rest = f"{parts[1]}/{parts[2]}", parts[3:]
        else:
            return self._groups()
        if not rest:
            return self._resources(group) if len(parts) > 1 else web.json_response({"versions": ["v1"]})
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        plural, name = rest[0], rest[1] if len(rest) > 1 else ""
        if plural in self.refused:
            return _refusal(self.refused[plural])
        if plural not in KINDS:
            return _refusal(404)
        if name:
            return await self._one(request, (plural, namespace, name), rest[2:])
        if request.method == "POST":
            return await self._create(request, plural, namespace)
        if "watch" in request.query:
            return await self._watch(request, plural, namespace)
        return self._list(request, plural, namespace)

    def _groups(self) -> web.Response:
        groups = [
            {
                "name": g.split("/")[0],
                "versions": [{"version": g.split("/")[1]}],
                "preferredVersion": {"version": g.split("/")[1]},
            }
            for g in (*GROUPS, "apiextensions.k8s.io/v1")
            if "/" in g
        ]
        return web.json_response({"kind": "APIGroupList", "groups": groups})

    def _resources(self, group: str) -> web.Response:
        kinds = {"customresourcedefinitions": "CustomResourceDefinition"}
        kinds = GROUPS.get(group, kinds if group.startswith("apiextensions") else {})
        verbs = ["get", "list", "watch", "patch", "create", "update"]
        resources = [
            {
                "name": plural,
                "singularName": kind.lower(),
                "kind": kind,
                "verbs": verbs,
                "namespaced": plural not in {"namespaces", "customresourcedefinitions"},
            }
            for plural, kind in kinds.items()
        ]
        return web.json_response({"kind": "APIResourceList", "resources": resources})

    def _matching(self, request: web.Request, plural: str, namespace: str) -> list[dict[str, Any]]:
        selector = request.query.get("labelSelector", "")
        return [
            made
            for (kind, place, _), made in sorted(self.objects.items())
            if kind == plural and namespace in {"", place} and _selects(selector, made)
        ]

    def _list(self, request: web.Request, plural: str, namespace: str) -> web.Response:
        items = self._matching(request, plural, namespace)
        start, limit = int(request.query.get("continue") or 0), int(request.query.get("limit") or 10_000)
        if start and self.expire_lists:
            self.expire_lists -= 1
            return _refusal(410)
        metadata = {"resourceVersion": str(self.version)}
        if start + limit < len(items):
            metadata["continue"] = str(start + limit)
        return web.json_response(
            {"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items[start : start + limit]}
        )

    async def _watch(self, request: web.Request, plural: str, namespace: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        queue: asyncio.Queue[Any] = asyncio.Queue()
        since = int(request.query.get("resourceVersion") or 0)
        for made in self._matching(request, plural, namespace):
            if int(made["metadata"]["resourceVersion"]) > since:
                queue.put_nowait({"type": "ADDED", "object": made})
        self._watches[plural].add(queue)
        try:
            while (event := await queue.get()) is not None:
                made = event["object"]
                if event["type"] != "ERROR":
                    if namespace not in {"", made["metadata"]["namespace"]}:
                        continue
                    if not _selects(request.query.get("labelSelector", ""), made):
                        continue
                await response.write(json.dumps(event).encode() + b"\n")
                if event["type"] == "ERROR":
                    break
        except ConnectionError:
            pass
        finally:
            self._watches[plural].discard(queue)
        return response

    async def _create(self, request: web.Request, plural: str, namespace: str) -> web.Response:
        made = await request.json()
        key = (plural, namespace, made["metadata"]["name"])
        if key in self.objects:
            return _refusal(409)
        made["metadata"] |= {"uid": f"uid-{self.version}", "namespace": namespace, "generation": 1}
        return web.json_response(self._store(key, made, "ADDED"), status=201)

    async def _one(self, request: web.Request, key: Key, subresource: list[str]) -> web.Response:
        present = self.objects.get(key)
        if request.method == "GET":
            return _refusal(404) if present is None else web.json_response(present)
        sent = await request.json()
        if present is None and request.method == "PATCH" and not subresource:
            metadata = {"uid": f"uid-{self.version}", "generation": 1, **sent["metadata"]}
            return web.json_response(self._store(key, {**sent, "metadata": metadata}, "ADDED"))
        if present is None:
            return _refusal(404)
        given = sent["metadata"].get("uid")
        if given is not None and given != present["metadata"]["uid"]:
            return _refusal(409)
        if (
            request.method == "PUT"
            and sent["metadata"]["resourceVersion"] != present["metadata"]["resourceVersion"]
        ):
            return _refusal(409)
        kept = (
            {"status": sent["status"]} if subresource else {k: v for k, v in sent.items() if k != "metadata"}
        )
        labels = (
            {}
            if subresource
            else {k: v for k, v in sent["metadata"].items() if k in ("labels", "ownerReferences")}
        )
        made = {**present, **kept, "metadata": {**present["metadata"], **labels}}
        return web.json_response(self._store(key, made, "MODIFIED"))


def _selects(selector: str, made: dict[str, Any]) -> bool:
    labels = made["metadata"].get("labels") or {}
    for part in filter(None, selector.split(",")):
        if part.startswith("!"):
            if part[1:] in labels:
                return False
        else:
            key, _, value = part.partition("=")
            if labels.get(key) != value:
                return False
    return True


def _refusal(status: int) -> web.Response:
    reasons = {403: "Forbidden", 404: "NotFound", 409: "Conflict", 410: "Expired", 503: "ServiceUnavailable"}
    body = {
        "kind": "Status",
        "status": "Failure",
        "code": status,
        "reason": reasons.get(status, "Unknown"),
        "message": f"answered {status}",
    }
    return web.json_response(body, status=status)
