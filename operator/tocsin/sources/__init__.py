"""The catalogue of integration types: `load_types()` reads the folders that are packaged beside this module."""

from __future__ import annotations

from tocsin.sources.catalogue import BrokenType, load_types, read_types

__all__ = ["BrokenType", "load_types", "read_types"]
