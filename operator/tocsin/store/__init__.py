"""The only thing between control plane and data plane: SQLite or PostgreSQL behind one facade.

`Store` opens, reads, writes and ingests; the modules of this package are repositories, plain functions on a
`Connection` that return typed values.
"""

from __future__ import annotations

from tocsin.store.arrivals import Arrival, Origin, Stored
from tocsin.store.database import Store
from tocsin.store.errors import (
    DecryptionFailed,
    NotStorable,
    SchemaTooNew,
    StaleEpoch,
    StoreError,
    StoreLocked,
    StoreUnavailable,
)
from tocsin.store.keys import KeyRing

__all__ = [
    "Arrival",
    "DecryptionFailed",
    "KeyRing",
    "NotStorable",
    "Origin",
    "SchemaTooNew",
    "StaleEpoch",
    "Store",
    "StoreError",
    "StoreLocked",
    "StoreUnavailable",
    "Stored",
]
