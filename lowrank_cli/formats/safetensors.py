"""Reading safetensors: one tensor by name. The header is JSON, so nothing is executed; every offset is checked.

bfloat16 and the two float8 types, which NumPy has not, become float32 without loss. A matrix is a tensor of two
dimensions. Source: the format as github.com/huggingface/safetensors describes it.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import InputError
from ..lazy import np
from .choice import Entry, choose, listed
from .loaded import Format, Item, Loaded
from .working import Conversion, allocate, check_dimensions, matrix_shape

if TYPE_CHECKING:
    import numpy.typing as npt

HEADER_CAP = 16 << 20
TENSOR_CAP = 100_000
PIECE = 1 << 20
#: The one entry of the header that is no tensor.
METADATA = "__metadata__"
_DAMAGED = "copy or save the file again"
#: Type -> how NumPy stores it and what it is called here.
TYPES = {
    "F64": ("<f8", "float64"), "F32": ("<f4", "float32"), "F16": ("<f2", "float16"), "BF16": ("<u2", "bfloat16"),
    "F8_E4M3": ("u1", "float8_e4m3fn"), "F8_E5M2": ("u1", "float8_e5m2"), "C64": ("<c8", "complex64"),
    "I64": ("<i8", "int64"), "I32": ("<i4", "int32"), "I16": ("<i2", "int16"), "I8": ("i1", "int8"),
    "U64": ("<u8", "uint64"), "U32": ("<u4", "uint32"), "U16": ("<u2", "uint16"), "U8": ("u1", "uint8"),
    "BOOL": ("?", "bool"),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor as the header tells it; start is counted from the beginning of the file."""

    name: str
    kind: str
    shape: tuple[int, ...]
    start: int
    nbytes: int

    @property
    def entry(self) -> Entry:
        """As one of a container's matrices."""
        if self.kind not in TYPES:
            what = f"holds values of type {self.kind[:20]}, which are not read"
            return Entry(Item(self.name, self.shape, self.kind[:20], None, self.nbytes, what), False)
        item = Item(self.name, self.shape, TYPES[self.kind][1], None, self.nbytes, "C order")
        return Entry(item, len(self.shape) == 2 and 0 not in self.shape)


def matches(head: bytes, name: str) -> bool:
    """Whether the first bytes are the length of a header and the brace that it begins with."""
    return len(head) > 9 and head[8:9] == b"{" and 2 <= int.from_bytes(head[:8], "little") <= 100 << 20


def items(path: str) -> list[Item]:
    """Every tensor, from the header."""
    with _opened(path) as file:
        return listed([tensor.entry for tensor in read_header(file, path)[0]])


def load(path: str, item: str | None = None) -> Loaded:
    """Read the tensor ``item``, or the only matrix of the file, which a note then names.

    Raises InputError listing the candidates when the item is missing or there are several; ResourceError when it does
    not fit in memory. Cost: the bytes of the tensor, once.
    """
    with _opened(path) as file:
        tensors = {tensor.name: tensor for tensor in read_header(file, path)[0]}
        entry, notes = choose([tensor.entry for tensor in tensors.values()], item, path)
        tensor = tensors[entry.item.path or ""]
        where = f"{path}:{tensor.name}"
        if tensor.kind not in TYPES:
            raise InputError(entry.item.detail, where=where, hint="convert it to float32 and save it again")
        shape = matrix_shape(tensor.shape, where)
        stored = np.dtype(TYPES[tensor.kind][0])
        decode = DECODERS.get(tensor.kind)
        conversion = Conversion(stored)
        out = allocate(shape, np.dtype("f4") if decode else conversion.target, False, where)
        file.seek(tensor.start)
        _read(file, stored, out.reshape(-1), decode or conversion, where)
    return Loaded(out, path, "safetensors", entry.item, (*notes, *conversion.notes()))


def _read(
    file: BinaryIO, stored: np.dtype, flat: npt.NDArray, write: Callable[[npt.NDArray, npt.NDArray], None], where: str
) -> None:
    step = PIECE // stored.itemsize
    for start in range(0, flat.size, step):
        piece = flat[start : start + step]
        data = file.read(piece.size * stored.itemsize)
        if len(data) != piece.size * stored.itemsize:
            raise InputError("ends too early", where=where, hint=_DAMAGED)
        write(np.frombuffer(data, stored), piece)


def _bfloat16(raw: npt.NDArray, out: npt.NDArray) -> None:
    out[...] = (raw.astype(np.uint32) << 16).view(np.float32)


def _float8_e5m2(raw: npt.NDArray, out: npt.NDArray) -> None:
    out[...] = (raw.astype(np.uint16) << 8).view(np.float16)


def _float8_e4m3(raw: npt.NDArray, out: npt.NDArray) -> None:
    """One sign, four exponent bits with bias 7, three of mantissa; all ones is NaN and there is no infinity."""
    code = np.arange(256)
    exponent, mantissa = code >> 3 & 15, code & 7
    size = np.where(exponent > 0, (8 + mantissa) * 2.0 ** (exponent - 10.0), mantissa * 2.0**-9)
    table = np.where(code & 127 == 127, np.nan, np.where(code > 127, -size, size)).astype(np.float32)
    out[...] = table[raw]


DECODERS = {"BF16": _bfloat16, "F8_E5M2": _float8_e5m2, "F8_E4M3": _float8_e4m3}


def _opened(path: str) -> BinaryIO:
    try:
        return open(path, "rb")
    except OSError as error:
        raise InputError(f"cannot be opened ({error.strerror})", where=path) from error


def read_header(file: BinaryIO, path: str) -> tuple[list[Tensor], Any]:
    """The tensors in the order of their bytes, which they must fill without overlap or hole, and the metadata."""
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(size - 8, HEADER_CAP):
        raise InputError(f"a header of {length} bytes in a file of {size}", where=path, hint=_DAMAGED)
    try:
        header = json.loads(file.read(length).decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise InputError(f"the header is no JSON ({str(error)[:80]})", where=path, hint=_DAMAGED) from error
    if not isinstance(header, dict) or len(header) > TENSOR_CAP:
        raise InputError("the header is no table of tensors", where=path, hint=_DAMAGED)
    found = [_tensor(name, told, 8 + length, path) for name, told in header.items() if name != METADATA]
    found.sort(key=lambda tensor: (tensor.start, tensor.nbytes))
    at = 8 + length
    for tensor in found:
        if tensor.start != at:
            raise InputError(f"tensor {tensor.name!r} does not follow the one before", where=path, hint=_DAMAGED)
        at += tensor.nbytes
    if at != size:
        raise InputError(f"the tensors end at byte {at} of {size}", where=path, hint=_DAMAGED)
    return found, header.get(METADATA)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name is given twice")
    return made


def _tensor(name: str, told: Any, base: int, path: str) -> Tensor:
    """One entry of the header, its numbers checked against each other."""
    try:
        kind, shape, (start, stop) = told["dtype"], told["shape"], told["data_offsets"]
        sane = isinstance(kind, str) and isinstance(shape, list) and len(shape) <= 64
        sane = sane and all(type(number) is int and 0 <= number < 2**63 for number in (*shape, start, stop))
    except (KeyError, TypeError, ValueError):
        sane = False
    if not sane:
        raise InputError(f"tensor {name[:60]!r} is not described as it must be", where=path, hint=_DAMAGED)
    check_dimensions(tuple(shape), path)
    width = np.dtype(TYPES[kind][0]).itemsize if kind in TYPES else None
    if stop < start or (width is not None and stop - start != math.prod(shape) * width):
        what = f"tensor {name[:60]!r}: {stop - start} bytes for shape {tuple(shape)} of {kind}"
        raise InputError(what, where=path, hint=_DAMAGED)
    return Tensor(name, kind, tuple(shape), base + start, stop - start)


FORMAT = Format("safetensors", (".safetensors",), matches, items, load)
