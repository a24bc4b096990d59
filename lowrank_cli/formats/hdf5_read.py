"""One HDF5 dataset: what it is, why it may be refused, and reading it strip by strip."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

from ..errors import InputError, LowrankError, ResourceError
from ..lazy import np
from .hdf5_walk import H5_ERRORS, guarded
from .optional import needed
from .working import Conversion, available_memory, human, native_name, supported

if TYPE_CHECKING:
    import numpy.typing as npt

#: Strips are read in pieces of about this size, always whole rows of chunks.
STRIP = 32 * 2**20
#: A dataset larger than this of which next to nothing is stored is taken for a mistake or an attack.
SUSPICIOUS = 2**30
#: Chunks read again, one at a time, to name the one that is damaged; a strip may be millions.
_CHUNKS_TRIED = 10_000
#: gzip cannot expand by more than about 1032
MAX_EXPANSION = 1100

_FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32", 32000: "lzf"}
#: Filters that hdf5plugin brings: without loss, and imported only where a dataset asks for one.
_PLUGIN_FILTERS = {32001: "blosc", 32004: "lz4", 32008: "bitshuffle", 32015: "zstd", 32026: "blosc2"}
#: With fewer settings than it writes, blosc reads beyond them and the process dies.
_FEWEST_SETTINGS = {32001: 4}
_REFUSED_FILTERS = {4: "szip", 5: "nbit", 6: "scaleoffset", 307: "bzip2", 32013: "zfp"}
_NAMES = _FILTERS | _PLUGIN_FILTERS | _REFUSED_FILTERS
#: attributes that say the stored numbers are not the ones meant
_PACKING = ("scale_factor", "add_offset")


def storage_detail(dataset: Any) -> str:
    """How the values are stored: "contiguous", "chunks 64x64 gzip"."""
    if dataset.chunks is None:
        return "contiguous"
    filters = [_NAMES.get(code, f"filter {code}") for code, _ in _filters(dataset)]
    return " ".join(["chunks " + "x".join(map(str, dataset.chunks)), *filters])


def _filters(dataset: Any) -> list[tuple[int, int]]:
    """Code of each, and how many values its settings have."""
    plist = dataset.id.get_create_plist()
    filters = (plist.get_filter(index) for index in range(plist.get_nfilters()))
    return [(code, len(values)) for code, _, values, *_ in filters]


def value_problem(dataset: Any) -> str | None:
    """Why the values are no numbers we read ("holds text"), or None when they are."""
    import h5py

    kinds = {
        h5py.h5t.BITFIELD: "bit fields",
        h5py.h5t.OPAQUE: "opaque bytes",
        h5py.h5t.REFERENCE: "references",
        h5py.h5t.VLEN: "variable-length values",
        h5py.h5t.ARRAY: "an array in every entry",
        h5py.h5t.TIME: "times",
        h5py.h5t.STRING: "text",
    }
    try:
        code = dataset.id.get_type().get_class()
        if code in kinds:
            return f"holds {kinds[code]}, not numbers"
        dtype = dataset.dtype
    except H5_ERRORS:
        return "holds values of a type that is not known"
    if dtype.names is not None and not _is_pair(dtype):
        return "holds compound values (" + ", ".join(dtype.names[:5]) + "), not numbers"
    if h5py.check_enum_dtype(dtype) is not None:
        return "holds an enumeration, not numbers"
    if not supported(number_dtype(dataset)):
        return f"holds values of type {dtype.name}, which are not read"
    return None


def _is_pair(dtype: np.dtype) -> bool:
    """Whether a compound type is a complex number as MATLAB and Octave store it; h5py knows only its own."""
    if dtype.names != ("real", "imag"):
        return False
    real, imaginary = (dtype.fields or {})["real"], (dtype.fields or {})["imag"]
    width = real[0].itemsize
    return real[0] == imaginary[0] and real[0].kind == "f" and (real[1], imaginary[1]) == (0, width) and width in (4, 8)


def number_dtype(dataset: Any) -> np.dtype:
    """The stored dtype; of pairs (real, imag) that of the complex number they are."""
    dtype = dataset.dtype
    return np.dtype(f"{dtype['real'].byteorder}c{dtype.itemsize}") if _is_pair(dtype) else dtype


def values_elsewhere(dataset: Any) -> str | None:
    """That the values lie in other files, which are never opened; None when they are in this one."""
    import h5py

    plist = dataset.id.get_create_plist()
    if plist.get_layout() == h5py.h5d.VIRTUAL:
        return "is a virtual dataset, made of other files, which are not followed"
    if plist.get_external_count():
        return "keeps its values in another file (external storage), which is not followed"
    return None


def check(dataset: Any, where: str, parts: bool = False) -> None:
    """Everything that can be known before a byte of data is read. InputError, or ResourceError for its size.

    parts: it will be read in parts, so only its chunks have to fit.
    """
    with guarded(where, "the dataset cannot be examined"):
        problem = value_problem(dataset)
        if problem is not None:
            raise InputError(problem, where=where, hint="name a numeric dataset")
        if dataset.shape is None:
            raise InputError("holds no values at all (null dataspace)", where=where, hint="name a numeric dataset")
        elsewhere = values_elsewhere(dataset)
        if elsewhere is not None:
            raise InputError(elsewhere, where=where, hint="copy it into one file, for example with h5repack")
        for code, settings in _filters(dataset):
            if code in _PLUGIN_FILTERS:
                if settings < _FEWEST_SETTINGS.get(code, 0):
                    raise InputError(f"has damaged settings of filter {code} ({_PLUGIN_FILTERS[code]})", where=where)
                needed("hdf5plugin", "hdf5", where, f"filter {code} ({_PLUGIN_FILTERS[code]})")
            elif code not in _FILTERS:
                raise InputError(
                    f"is compressed with filter {code} ({_REFUSED_FILTERS.get(code, 'unknown')}), which is not read",
                    where=where,
                    hint="rewrite it where that filter works: h5repack -f GZIP=4 IN.h5 OUT.h5",
                )
        _check_size(dataset, where, parts)


def _check_size(dataset: Any, where: str, parts: bool) -> None:
    declared = math.prod(dataset.shape) * dataset.dtype.itemsize
    stored = dataset.id.get_storage_size()
    have = available_memory()
    if declared > have and not parts:
        raise ResourceError(
            f"claims {human(declared)} of values ({human(stored)} are stored), {human(have)} of memory are available",
            where=where,
        )
    if declared > SUSPICIOUS and stored * MAX_EXPANSION < declared:
        raise InputError(
            f"claims {human(declared)} of values but only {human(stored)} are stored",
            where=where,
            hint="the file is unfinished or hostile",
        )
    if dataset.chunks is not None:
        chunk = math.prod(dataset.chunks) * dataset.dtype.itemsize
        if chunk > have // 4:
            raise ResourceError(
                f"one chunk needs {human(chunk)}, more than a quarter of the available memory ({human(have)})",
                where=where,
                hint="rewrite it with smaller chunks: h5repack -l CHUNK=1024x1024 IN.h5 OUT.h5",
            )


def read_notes(dataset: Any) -> tuple[str, ...]:
    """What the user should know of values that are not stored as they are meant."""
    notes = []
    with guarded(dataset.name or "", "the dataset cannot be examined"):
        packing = [name for name in _PACKING if name in dataset.attrs]
        if packing:
            notes.append(f"the stored numbers are used as they are: {' and '.join(packing)} are not applied")
        stored, declared = dataset.id.get_storage_size(), math.prod(dataset.shape) * dataset.dtype.itemsize
        if not stored and declared:
            notes.append("no values are stored: every entry is the fill value")
        elif dataset.chunks is not None:
            grid = math.prod(-(-size // step) for size, step in zip(dataset.shape, dataset.chunks, strict=True))
            missing = grid - dataset.id.get_num_chunks()
            if missing > 0:
                notes.append(f"{missing} of {grid} chunks are not stored: their entries are the fill value")
    return tuple(notes)


def read(dataset: Any, out: npt.NDArray, conversion: Conversion, where: str) -> None:
    """Fill ``out`` (the dataset's shape, C order, ``conversion.target``); each chunk is read and unpacked once.

    Raises InputError naming the chunk that cannot be read. Memory beside ``out``: one strip when values are
    converted, nothing otherwise.
    """
    read_part(dataset, tuple(slice(0, length) for length in out.shape), out, conversion, where)


def read_part(dataset: Any, part: tuple[slice, ...], out: npt.NDArray, conversion: Conversion, where: str) -> None:
    """Fill ``out``, C-ordered, with a part of the dataset, a range along each axis; as ``read``."""
    along, across = part[0], part[1:]
    width = math.prod(dataset.shape[1:]) * dataset.dtype.itemsize
    step = dataset.chunks[0] if dataset.chunks is not None else 1
    rows = max(1, STRIP // max(1, width * step)) * step
    # HDF5 swaps bytes on the way, so only a change of type needs a buffer of ours
    stored = conversion.stored.newbyteorder("=")
    pair = _is_pair(dataset.dtype)
    if pair:
        out = out.view(dataset.dtype.newbyteorder("="))
    direct = pair or stored == conversion.target
    buffer = None if direct else np.empty((min(rows, out.shape[0]), *out.shape[1:]), stored)
    first = along.start
    while first < along.stop:
        # to the end of a row of chunks, so that none is unpacked twice
        start, stop = first, min((first // rows + 1) * rows, along.stop)
        first, place = stop, slice(start - along.start, stop - along.start)
        try:
            if buffer is None:
                dataset.read_direct(out, (slice(start, stop), *across), np.s_[place])
            else:
                piece = buffer[: stop - start]
                dataset.read_direct(piece, (slice(start, stop), *across))
                conversion(piece, out[place])
        except LowrankError:
            raise
        except MemoryError as error:
            raise ResourceError("not enough memory to read the dataset", where=where) from error
        except H5_ERRORS as error:
            raise _unreadable(dataset, start, stop, error, where) from error


def _unreadable(dataset: Any, start: int, stop: int, error: Exception, where: str) -> InputError:
    from .hdf5_walk import reason

    place = f"rows {start} to {stop - 1}"
    if dataset.chunks is not None:
        bad = _bad_chunk(dataset, start, stop)
        place = place if bad is None else f"chunk {bad}"
    checksum = 3 in dict(_filters(dataset))
    what = "checksum mismatch or damage" if checksum else "damaged data"
    return InputError(
        f"{what} in {place} ({reason(error)})", where=where, hint="copy the file again, or restore it from a backup"
    )


def _bad_chunk(dataset: Any, start: int, stop: int) -> tuple[int, ...] | None:
    """Index of the first chunk in rows start to stop that cannot be read, if it is one of the first; costs the strip
    once more."""
    steps = dataset.chunks
    ranges = [range(start // steps[0], -(-stop // steps[0]))]
    ranges += [range(-(-size // step)) for size, step in zip(dataset.shape[1:], steps[1:], strict=True)]
    for index in itertools.islice(itertools.product(*ranges), _CHUNKS_TRIED):
        where = tuple(slice(i * step, (i + 1) * step) for i, step in zip(index, steps, strict=True))
        try:
            dataset[where]
        except H5_ERRORS:
            return index
    return None


def memory_bytes(dataset: Any) -> int:
    """Bytes of the values in their stored dtype."""
    return math.prod(dataset.shape) * dataset.dtype.itemsize


def dtype_name(dataset: Any) -> str:
    """Stored dtype without byte order."""
    return native_name(number_dtype(dataset))
