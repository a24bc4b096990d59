"""Packages that only some formats need: imported when one does, and asked for by name when they are missing."""

from __future__ import annotations

import importlib
from typing import Any

from ..errors import DependencyError


def needed(module: str, extra: str, where: str, what: str) -> Any:
    """The module. Raises DependencyError that names the extra which brings it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        hint = f"pip install 'lowrank-cli[{extra}]'"
        raise DependencyError(f"{what} needs the package {package}", where=where, hint=hint) from error
