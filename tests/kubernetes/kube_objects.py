"""Objects as an API server would give them."""

from __future__ import annotations

import io
from typing import Any

from tocsin.control.kubernetes.problems import Signals
from tocsin.telemetry import Telemetry


def body(kind: str = "AlertRoute", name: str = "a", *, version: int = 1, **more: Any) -> dict[str, Any]:
    """`uid`, `generation`, `labels`, `namespace`, `deleting`, `spec` and `status` may be given."""
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": more.get("namespace", "n"),
        "uid": more.get("uid", f"uid-{name}"),
        "resourceVersion": str(version),
        "generation": more.get("generation", 1),
        "managedFields": [{"manager": "kubectl"}],
    }
    if "labels" in more:
        metadata["labels"] = more["labels"]
    if more.get("deleting"):
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    made: dict[str, Any] = {"apiVersion": "tocsin.dev/v1alpha1", "kind": kind, "metadata": metadata}
    made["spec"] = more.get("spec", {"parentRefs": [{"name": "web"}], "match": {"regex": "x"}})
    if "status" in more:
        made["status"] = more["status"]
    return made


def signals() -> Signals:
    """Problems and figures of their own, and a log that is thrown away."""
    return Signals.create(Telemetry.create(stream=io.StringIO(), process_metrics=False))
