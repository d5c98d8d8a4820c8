"""When maintenance windows open and close next: their statuses change at these moments without any event."""

from __future__ import annotations

from tocsin.api.common import Identity
from tocsin.flow.compiler import Compiled
from tocsin.flow.model import Micros, WindowFragment
from tocsin.flow.schedule import Schedule


class Boundaries:
    """The next start or end of each window of a flow."""

    def __init__(self) -> None:
        self._schedules: dict[Identity, tuple[str, Schedule]] = {}
        self._next: dict[Identity, Micros] = {}

    def update(self, compiled: Compiled, now: Micros) -> None:
        """Takes over the windows of a flow; those that did not change keep their schedule."""
        manifest = compiled.flow.manifest
        windows = {i: digest for i, digest in manifest.items() if i.kind == "MaintenanceWindow"}
        for identity in self._schedules.keys() - windows.keys():
            del self._schedules[identity]
            self._next.pop(identity, None)
        for identity, digest in windows.items():
            known = self._schedules.get(identity)
            fragment = compiled.flow.fragments[digest]
            if (known is None or known[0] != digest) and isinstance(fragment, WindowFragment):
                self._schedules[identity] = (digest, Schedule(fragment))
                self._advance(identity, now)

    def passed(self, now: Micros) -> list[Identity]:
        """The windows that opened or closed since the last call."""
        due = [identity for identity, boundary in self._next.items() if boundary <= now]
        for identity in due:
            self._advance(identity, now)
        return due

    def _advance(self, identity: Identity, now: Micros) -> None:
        boundary = self._schedules[identity][1].next_boundary(now)
        if boundary is None:
            self._next.pop(identity, None)
        else:
            self._next[identity] = boundary
