"""What channels of one process share."""

from __future__ import annotations

from dataclasses import dataclass

from tocsin.notify.client import HttpClient
from tocsin.notify.guard import Guard
from tocsin.store.keys import KeyRing


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """`guard` is for what is no HTTP. `apprise`: the operator enables those channels.

    `console_url` is where chat tools reach the console from outside, without a final slash; without it, or without
    `keys`, messages have no buttons.
    """

    http: HttpClient
    guard: Guard
    apprise: bool = False
    console_url: str = ""
    keys: KeyRing | None = None
