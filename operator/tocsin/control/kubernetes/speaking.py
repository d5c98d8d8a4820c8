"""What is said of each object: the compiler's report, proof from the replicas, facts from the store, as one status."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

import msgspec

from tocsin.api.common import Finding, Identity
from tocsin.control.kubernetes.client import Object
from tocsin.control.kubernetes.compiling import Compiling
from tocsin.control.kubernetes.desired import desired_status
from tocsin.control.kubernetes.duties import Duties
from tocsin.control.kubernetes.events import Events, happenings
from tocsin.control.kubernetes.objects import Objects
from tocsin.control.kubernetes.programmed import Programmed
from tocsin.control.kubernetes.secrets import Endpoints
from tocsin.control.kubernetes.statuses import Writing
from tocsin.flow.compiler import Report
from tocsin.flow.compiler.findings import in_order
from tocsin.flow.model import Micros
from tocsin.flow.status import PENDING, Circumstances, Programming, Running, rfc3339

NOTHING = Running()


class Speaker:
    """The author of all statuses. `running` are the facts from the store, `token_findings` those of publishing."""

    def __init__(self, objects: Objects, compiling: Compiling, endpoints: Endpoints, events: Events) -> None:
        self._objects = objects
        self._compiling = compiling
        self._endpoints = endpoints
        self._events = events
        self.programmed = Programmed()
        self.duties = Duties()
        self.running: Mapping[Identity, Running] = {}
        self.token_findings: Mapping[Identity, Finding] = {}
        self.silent = True
        """Not the leader: somebody else speaks."""

    def plan(self, identity: Identity) -> Writing | None:
        report, known = self._report(identity), self._objects.get(identity)
        metadata = self._compiling.metadata.get(identity)
        if self.silent or report is None or known is None or metadata is None:
            return None
        if (metadata.uid, metadata.generation) != (known.uid, known.generation):
            return None  # a newer one has come, which is said something about once it is compiled
        if not self.programmed.knows(identity):
            return None  # leading has just begun: what was proven before is known with the first publication
        compiled = self._compiling.compiled
        circumstances = Circumstances(
            now=now(),
            generation=known.generation,
            programming=self._programming(identity, known.generation),
            running=self.running.get(identity, NOTHING),
            fragment=None if compiled is None else compiled.flow.fragment(identity),
            duty=self.duties.of(identity),
        )
        return Writing(
            uid=known.uid,
            present=known.status,
            desired=desired_status(report, circumstances, known.status),
        )

    def written(self, identity: Identity, writing: Writing, answer: Object) -> None:
        self._objects.put(identity.kind, answer)
        for happening in happenings(writing.present, writing.desired):
            self._events.tell(identity, writing.uid, happening, at=rfc3339(now()))

    def found(self, findings: Mapping[Identity, Finding]) -> Iterable[Identity]:
        """New findings about tokens; the objects of which something else is to be said."""
        before, self.token_findings = self.token_findings, findings
        return [i for i in before.keys() | findings.keys() if before.get(i) != findings.get(i)]

    def _report(self, identity: Identity) -> Report | None:
        compiled = self._compiling.compiled
        report = None if compiled is None else compiled.reports.get(identity)
        finding = self.token_findings.get(identity)
        if report is None or finding is None:
            return report
        return msgspec.structs.replace(report, findings=in_order((*report.findings, finding)))

    def _programming(self, identity: Identity, generation: int) -> Programming:
        programming = self.programmed.of(identity, generation)
        trouble = self._endpoints.trouble.get(identity)
        if trouble is None or not programming.programmed:
            return programming
        return msgspec.structs.replace(PENDING, message=f"loaded by all running receivers, but {trouble}")


def now() -> Micros:
    return Micros(time.time_ns() // 1000)
