"""What can be said of an object from the object alone: its fragment so far, and its findings.

Computed once per content of an object; everything that depends on other objects comes later.
"""

from __future__ import annotations

from dataclasses import dataclass

from tocsin.api.common import Finding
from tocsin.api.conditions import Reason
from tocsin.flow.compiler.conditions import Conditions
from tocsin.flow.model import AnyFragment, Micros


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """`fragment` is None where the object is not accepted. `reason` is that of the Accepted condition."""

    fragment: AnyFragment | None = None
    reason: str = Reason.ACCEPTED
    findings: tuple[Finding, ...] = ()
    priority: int = 0
    conditions: Conditions | None = None
    """Routes only."""
    recheck: Micros | None = None
    """When time alone may change the findings; windows and on-call schedules only."""

    @property
    def active(self) -> bool:
        """Whether the object takes part in the flow."""
        return self.fragment is not None and self.reason != Reason.SUSPENDED


def accepted_reason(*, suspend: bool) -> str:
    return Reason.SUSPENDED if suspend else Reason.ACCEPTED
