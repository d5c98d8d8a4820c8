"""What can go wrong with a store, by who must act."""

from __future__ import annotations


class StoreError(Exception):
    """Root of this package's errors. Messages are one line and hold neither passwords nor payloads."""


class StoreUnavailable(StoreError):
    """The database cannot be reached or cannot write now: nothing was stored, trying again later may work."""


class StoreLocked(StoreError):
    """Another process holds this database, or this database cannot be shared the way that was asked for."""


class SchemaTooNew(StoreError):
    """A newer Tocsin changed this database in a way that this version cannot work with."""


class StaleEpoch(StoreError):
    """A newer leader has published: this one must stop writing."""


class DecryptionFailed(StoreError):
    """No key of TOCSIN_SECRET_KEY opens this ciphertext."""


class NotStorable(StoreError):
    """The alert cannot be stored, now or later, although the database works: keep it as a dead letter."""
