"""What other programs mean by their HDF5 files: MATLAB 7.3, and the main matrix of AnnData and loom files.

MATLAB stores arrays by columns, so a dataset has the shape of the transpose; the attribute MATLAB_class says what the
values are, and a struct is a group of its fields.
"""

from __future__ import annotations

from typing import Any

#: MATLAB's classes of numbers.
_NUMBERS = frozenset(
    ("double", "single", "logical", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
)
_KINDS = {"char": "text", "cell": "cells", "function_handle": "a function", "struct": "an array of structs"}
#: The main matrix -> what stands beside it in such a file.
_MAIN = {"X": (b"obs", b"var"), "matrix": (b"row_attrs", b"col_attrs")}


def text(value: Any) -> str:
    """An attribute as text."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def matlab_class(found: Any) -> str | None:
    """The MATLAB class of a dataset or group; None for what MATLAB did not write."""
    return text(found.attrs["MATLAB_class"]) if "MATLAB_class" in found.attrs else None


def matlab_problem(dataset: Any) -> str | None:
    """Why a dataset of MATLAB is no matrix of numbers ("holds text, not numbers"); None when it is one."""
    kind = matlab_class(dataset)
    if kind is None:
        return None
    if "MATLAB_empty" in dataset.attrs and int(dataset.attrs["MATLAB_empty"]):
        return "holds an empty array, which has no entries"
    return None if kind in _NUMBERS else f"holds {_KINDS.get(kind, f'a MATLAB {kind[:30]}')}, not numbers"


def is_hidden(name: str) -> bool:
    """Whether a path leads to what MATLAB keeps for cells and objects."""
    return name.startswith(("/#refs#", "/#subsystem#"))


def main_item(file: Any) -> str | None:
    """The matrix that a file of a known kind is about: X of AnnData, matrix of loom."""
    root = file["/"]
    for name, beside in _MAIN.items():
        if all(root.id.links.exists(raw) for raw in (name.encode(), *beside)):
            return f"/{name}"
    return None
