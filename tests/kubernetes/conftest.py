"""What the tests of the operator's parts share: objects, a clock that only moves when all wait, a fake API server."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

# importlib import mode knows no packages in tests/: shared modules are loaded by path, once.
for _name in ("kube_virtual", "kube_objects", "kube_server", "kube_secrets"):
    if _name not in sys.modules:
        _spec = importlib.util.spec_from_file_location(_name, Path(__file__).parent / f"{_name}.py")
        assert _spec is not None and _spec.loader is not None
        _module = importlib.util.module_from_spec(_spec)
        sys.modules[_name] = _module
        _spec.loader.exec_module(_module)
