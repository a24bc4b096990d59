"""Factors as tensors of a .safetensors file, their metadata as JSON under ``lowrank`` in those of the file."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import DamagedError, InputError, UsageError
from ..lazy import np
from . import factor_meta, safetensors
from .container import ArrayInfo, Container
from .npy_writer import STORED, raw

if TYPE_CHECKING:
    import numpy

KEY = "lowrank"
_DAMAGED = "the file is damaged; write it again"
#: NumPy's item type -> the format's, where NumPy has it.
_NAMES = {np.dtype(s).str: kind for kind, (s, name) in safetensors.TYPES.items() if name == np.dtype(s).name}


def encode(meta: dict[str, Any], arrays: dict[str, numpy.ndarray]) -> list[Any]:
    """The file as chunks; the values of the arrays are not copied. Raises UsageError for too long a report."""
    return tensors(arrays, {KEY: factor_meta.canonical(meta).decode("ascii")})


def tensors(arrays: dict[str, numpy.ndarray], metadata: dict[str, str]) -> list[Any]:
    """A file of these tensors, the widest types first, so that each lies at a multiple of its width."""
    header: dict[str, Any] = {safetensors.METADATA: metadata} if metadata else {}
    at, order = 0, sorted(arrays, key=lambda name: (-arrays[name].itemsize, name))
    for name in order:
        array = arrays[name]
        kind = _NAMES[array.dtype.str]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % 8)
    if len(text) > safetensors.HEADER_CAP:
        raise UsageError(f"a report of {len(text)} bytes is too long for a .safetensors file", hint="write .h5 or .npz")
    return [len(text).to_bytes(8, "little"), text, *(raw(arrays[name]) for name in order)]


def decode(path: str) -> tuple[Any, dict[str, numpy.ndarray]]:
    """Metadata and flat arrays, not yet checked against their digests. Raises InputError."""
    with _opened(path) as (file, meta, found):
        arrays = {}
        for tensor in found:
            array = np.empty(tensor.shape, safetensors.TYPES[tensor.kind][0])
            file.seek(tensor.start)
            if array.size and file.readinto(raw(array)) != tensor.nbytes:
                raise DamagedError(f"tensor {tensor.name} ends too early", where=path, hint=_DAMAGED)
            arrays[tensor.name] = array.astype(array.dtype.newbyteorder("="), copy=False)
        return meta, arrays


def headers(path: str) -> tuple[Any, dict[str, ArrayInfo]]:
    """Metadata, and item type and shape of every flat array, without reading values. Raises InputError."""
    with _opened(path) as (_, meta, found):
        return meta, {tensor.name: ArrayInfo(safetensors.TYPES[tensor.kind][1], tensor.shape) for tensor in found}


def holds(path: str) -> bool:
    """Whether the metadata of the file have an entry of ours that names our schema."""
    with contextlib.suppress(InputError, OSError, AttributeError, TypeError), open(path, "rb") as file:
        return f'"{factor_meta.FAMILY}' in safetensors.read_header(file, path)[1].get(KEY, "")
    return False


@contextlib.contextmanager
def _opened(path: str) -> Iterator[tuple[BinaryIO, Any, list[safetensors.Tensor]]]:
    try:
        with open(path, "rb") as file:
            found, metadata = safetensors.read_header(file, path)
            text = metadata.get(KEY) if isinstance(metadata, dict) else None
            if not isinstance(text, str):
                raise InputError(
                    "holds no factors written by lowrank", where=path, hint=f"its metadata have no {KEY!r}"
                )
            for tensor in found:
                if not factor_meta.NAME.fullmatch(tensor.name) or tensor.kind not in _NAMES.values():
                    raise InputError(f"holds a tensor {tensor.name[:60]!r} that is none of a factor file's", where=path)
            yield file, factor_meta.parse(text.encode("utf-8", "replace"), path), found
    except DamagedError:
        raise
    except InputError as err:
        raise DamagedError(err.what, where=path, hint=err.hint) from None
    except OSError as err:
        raise InputError(f"cannot be read: {err.strerror or err}", where=path) from err


CONTAINER = Container(
    name="safetensors",
    suffix=".safetensors",
    matches=lambda head: head is not None and safetensors.matches(head, ""),
    encode=encode,
    decode=decode,
    headers=headers,
    holds=holds,
    types=tuple(kind for kind in STORED if kind in _NAMES and not kind.startswith("<c")),
)
