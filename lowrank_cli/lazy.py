"""Modules that load at first use, so that declaring options and tables costs no import.

A proxy is never put into ``sys.modules``: after the first use of a name it is an ordinary attribute of the proxy, and
costs what a module attribute costs.
"""

from __future__ import annotations

import importlib
import types
from typing import TYPE_CHECKING, Any


class _Lazy(types.ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__version__":
            raise AttributeError(name)
        value = getattr(importlib.import_module(self.__name__), name)
        setattr(self, name, value)
        return value

    def __reduce__(self) -> tuple[Any, ...]:
        # functions that use a module are sent to other processes, which load it themselves
        return importlib.import_module, (self.__name__,)


if TYPE_CHECKING:
    import numpy as np
else:
    np = _Lazy("numpy")

__all__ = ["np"]
