"""Factors as tensors of a .safetensors file, their metadata as JSON under ``lowrank`` in those of the file."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import DamagedError, InputError, UsageError
from ..factors.lora import is_bfloat16
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
    bfloat16 = meta["report"].get("method_facts", {}).get("factor_dtype") == "bfloat16"
    return tensors(arrays, {KEY: factor_meta.canonical(meta).decode("ascii")}, bfloat16)


def tensors(arrays: dict[str, numpy.ndarray], metadata: dict[str, str], bfloat16: bool = False) -> list[Any]:
    """A file of these tensors, the widest types first, so that each lies at a multiple of its width. bfloat16: those of
    float32 whose values bfloat16 has are written so."""
    kinds = {name: _NAMES[array.dtype.str] for name, array in arrays.items()}
    if bfloat16:
        halves = {name: array for name, array in arrays.items() if kinds[name] == "F32" and is_bfloat16(array)}
        arrays = arrays | {name: (array.view(np.uint32) >> 16).astype("<u2") for name, array in halves.items()}
        kinds |= dict.fromkeys(halves, "BF16")
    header: dict[str, Any] = {safetensors.METADATA: metadata} if metadata else {}
    at, order = 0, sorted(arrays, key=lambda name: (-arrays[name].itemsize, name))
    for name in order:
        array = arrays[name]
        header[name] = {"dtype": kinds[name], "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
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
            decoder = safetensors.DECODERS.get(tensor.kind)
            arrays[tensor.name] = array.astype(array.dtype.newbyteorder("="), copy=False)
            if decoder is not None:
                arrays[tensor.name] = np.empty(tensor.shape, np.float32)
                decoder(array, arrays[tensor.name])
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
    with factor_meta.whole(path), open(path, "rb") as file:
        found, metadata = safetensors.read_header(file, path)
        text = metadata.get(KEY) if isinstance(metadata, dict) else None
        if not isinstance(text, str):
            raise InputError("holds no factors written by lowrank", where=path, hint=f"its metadata have no {KEY!r}")
        for tensor in found:
            if not factor_meta.NAME.fullmatch(tensor.name) or tensor.kind not in (*_NAMES.values(), "BF16"):
                raise InputError(f"holds a tensor {tensor.name[:60]!r} that is none of a factor file's", where=path)
        yield file, factor_meta.parse(text.encode("utf-8", "replace"), path), found


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
