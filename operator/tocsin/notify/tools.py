"""What channels of one process share."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from tocsin.notify.client import HttpClient
from tocsin.notify.guard import Guard
from tocsin.store.keys import KeyRing


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """`guard` is for what is no HTTP. `apprise`: the operator enables those channels.

    `trust` replaces the certificate authorities of the system for what is no HTTP. `console_url` is where chat tools reach the console from outside, without a final slash; without it, or without
    `keys`, messages have no buttons.
    """

    http: HttpClient
    guard: Guard
    trust: ssl.SSLContext | None = None
    apprise: bool = False
    console_url: str = ""
    keys: KeyRing | None = None
