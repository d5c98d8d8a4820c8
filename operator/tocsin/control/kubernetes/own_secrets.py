"""Secrets of Tocsin itself, in its own namespace: made once by whichever replica is first, and read by all."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from tocsin.control.kubernetes.client import ApiError, Object
from tocsin.control.kubernetes.resources import SECRETS

MANAGED = {"app.kubernetes.io/managed-by": "tocsin", "app.kubernetes.io/part-of": "tocsin"}


class SecretApi(Protocol):
    """What is needed of the API server."""

    async def get(self, path: str) -> Object: ...
    async def create(self, path: str, body: Object) -> Object: ...


async def read_or_create(api: SecretApi, namespace: str, name: str, fresh: Callable[[], Object]) -> Object:
    """The Secret as it is stored: made from `fresh` if there was none, not touched if there was. Raises ApiError."""
    path = SECRETS.path(namespace, name)
    try:
        return await api.get(path)
    except ApiError as error:
        if error.status != 404:
            raise
    try:
        return await api.create(SECRETS.path(namespace), fresh())
    except ApiError as error:
        if error.status != 409:
            raise
    return await api.get(path)  # another replica was faster


def secret(namespace: str, name: str, data: Mapping[str, bytes], *, kind: str = "Opaque") -> Object:
    """A Secret that says whose it is."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(MANAGED)},
        "type": kind,
        "data": encoded(data),
    }


def encoded(data: Mapping[str, bytes]) -> dict[str, str]:
    return {key: base64.b64encode(value).decode("ascii") for key, value in data.items()}


def decoded(body: Mapping[str, Any]) -> dict[str, bytes]:
    """The entries of a Secret; one that is no base64 is empty."""
    found = {}
    for key, text in (body.get("data") or {}).items():
        try:
            found[key] = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError, TypeError):
            found[key] = b""
    return found


def is_ours(body: Mapping[str, Any]) -> bool:
    labels = (body.get("metadata") or {}).get("labels") or {}
    return MANAGED.items() <= labels.items()
