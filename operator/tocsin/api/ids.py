"""Public ids: a letter that says what, then twelve characters of a base-32 alphabet without look-alikes.

Three ways lead to one: declared objects derive theirs from namespace/name (so that recreating one keeps it), rows
with a number (groups, alerts) disguise that number with a per-database key, and everything else is random.
"""

from __future__ import annotations

import hashlib
import secrets

ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
LENGTH = 12

ALERT = "A"
GROUP = "I"
INTEGRATION = "C"
ROUTE = "R"
CHAIN = "F"
HEARTBEAT = "B"
USER = "U"
SCHEDULE = "S"
TEAM = "T"
NOTE = "M"

_BITS = 60
_HALF = 30
_MASK = (1 << _HALF) - 1
_PAIRS = tuple(a + b for a in ALPHABET for b in ALPHABET)
_VALUES = {pair: value for value, pair in enumerate(_PAIRS)}


def _spell(value: int) -> str:
    return (
        _PAIRS[value >> 50]
        + _PAIRS[(value >> 40) & 1023]
        + _PAIRS[(value >> 30) & 1023]
        + _PAIRS[(value >> 20) & 1023]
        + _PAIRS[(value >> 10) & 1023]
        + _PAIRS[value & 1023]
    )


def _read(text: str) -> int | None:
    if len(text) != LENGTH:
        return None
    value = 0
    for at in range(0, LENGTH, 2):
        pair = _VALUES.get(text[at : at + 2])
        if pair is None:
            return None
        value = (value << 10) | pair
    return value


def random_id(prefix: str) -> str:
    """A fresh id with 60 random bits."""
    return prefix + _spell(secrets.randbits(_BITS))


def derived_id(prefix: str, namespace: str, name: str) -> str:
    """The id of a declared object: equal for equal namespace/name, for ever and on every installation."""
    digest = hashlib.sha256(f"{prefix}\n{namespace}/{name}".encode()).digest()
    return prefix + _spell(int.from_bytes(digest[:8]) >> 4)


class Disguise:
    """A reversible mapping of numbers below 2^60 to ids that look random: a Feistel network keyed per database.

    It saves a random index (one dirtied page per row) on the two largest tables. It hides order and volume from
    readers of ids; it is not an access check.
    """

    __slots__ = ("_keys",)

    def __init__(self, key: bytes) -> None:
        digest = hashlib.sha512(key).digest()
        self._keys = tuple(int.from_bytes(digest[at : at + 4]) >> 2 | 1 for at in range(0, 16, 4))

    def id_of(self, prefix: str, number: int) -> str:
        """`number` must be in 0 .. 2^60-1. The same number under another prefix looks unrelated."""
        k0, k1, k2, k3 = self._keys
        k0 += ord(prefix[0])
        left, right = number >> _HALF, number & _MASK
        left ^= ((right + k0) * k1 >> 11) & _MASK
        right ^= ((left + k1) * k2 >> 11) & _MASK
        left ^= ((right + k2) * k3 >> 11) & _MASK
        right ^= ((left + k3) * (k0 | 1) >> 11) & _MASK
        return prefix + _spell(left << _HALF | right)

    def number_of(self, prefix: str, public_id: str) -> int | None:
        """The inverse of `id_of`; None for what is no id of this prefix."""
        if not public_id.startswith(prefix):
            return None
        value = _read(public_id[len(prefix) :])
        if value is None:
            return None
        k0, k1, k2, k3 = self._keys
        k0 += ord(prefix[0])
        left, right = value >> _HALF, value & _MASK
        right ^= ((left + k3) * (k0 | 1) >> 11) & _MASK
        left ^= ((right + k2) * k3 >> 11) & _MASK
        right ^= ((left + k1) * k2 >> 11) & _MASK
        left ^= ((right + k0) * k1 >> 11) & _MASK
        return left << _HALF | right
