"""Who is on call: rotation layers, overrides over them, a calendar below them. Pure; every time is an argument.

Wherever a later layer has somebody it covers the earlier ones; a layer without anybody there (restrictions, a turn
whose people are all unknown) leaves them visible. Overrides win over all layers, a later one over an earlier one. The
calendar is below the layers. A Responder that is not among `responders` (deleted, suspended, refused) is not on call.
"""

from __future__ import annotations

from tocsin.flow.oncall.ical import Calendar, InvalidCalendar, parse, unreadable
from tocsin.flow.oncall.layers import check_layer, check_override
from tocsin.flow.oncall.spans import Shift
from tocsin.flow.oncall.timeline import Handover, OnCall, gaps, next_handover, on_call, shifts, strangers

__all__ = [
    "Calendar",
    "Handover",
    "InvalidCalendar",
    "OnCall",
    "Shift",
    "check_layer",
    "check_override",
    "gaps",
    "next_handover",
    "on_call",
    "parse",
    "shifts",
    "strangers",
    "unreadable",
]
