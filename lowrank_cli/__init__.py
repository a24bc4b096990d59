"""Low-rank matrix approximation with certified errors: ``lowrank_cli.approx(A, rank=10)``."""

from __future__ import annotations

# typing itself would be a tenth of the time that importing the package takes
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__version__ = "0.1.0"

#: Public name -> the module that has it. Resolved at first use, so importing the package imports nothing else.
_PUBLIC = {
    "approx": "api",
    "Budget": "budget",
    "Certificate": "certificates.certificate",
    "CR": "factors.cr",
    "ColumnID": "factors.interpolative",
    "DamagedError": "errors",
    "DependencyError": "errors",
    "InputError": "errors",
    "LowrankError": "errors",
    "NumericalError": "errors",
    "Outcome": "algorithms.outcome",
    "OutputError": "errors",
    "ResourceError": "errors",
    "RowID": "factors.interpolative",
    "SVD": "factors.svd",
    "Status": "algorithms.outcome",
    "UsageError": "errors",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
