"""Factors and arrays to files, and factors back from them."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .. import factors
from ..companions import COMPANIONS
from ..errors import DamagedError, InputError, OutputError, UsageError
from ..factors.base import Approximation, is_sparse
from ..memory import require
from . import MATRICES, MATRIX_NAMED, NAMED, WRITERS, atomic, factor_meta, folders
from .container import ArrayInfo, Container
from .folder_factors import is_replaceable
from .matrix_file import MatrixFile
from .npy_writer import npy_chunks, size_of, views

if TYPE_CHECKING:
    import numpy

STDOUT = "standard output"


@dataclasses.dataclass(frozen=True, eq=False)
class Saved:
    """Factors as a file held them, every digest checked. report is the stored one, without a ``run`` block; digests
    are those of the arrays as stored (a sparse ``C`` is ``C.data C.indices C.indptr C.shape``)."""

    factor: Approximation
    report: dict[str, Any]
    kind: str
    path: str
    digests: dict[str, str]


@dataclasses.dataclass(frozen=True)
class SavedHeaders:
    """What a file of factors says without its values being read: the metadata are checked, the values are not."""

    kind: str
    product: str
    report: dict[str, Any]
    path: str
    arrays: dict[str, ArrayInfo]
    digests: dict[str, str]


def check_suffix(target: str) -> Container:
    """The container the target's suffix names; .npz for a pipe or a device. Raises UsageError listing the suffixes."""
    if atomic.is_stream(target):
        return WRITERS[".npz"].load()
    if not target:
        raise UsageError("the output is an empty file name", hint="use - for standard output")
    suffix = "/" if folders.is_folder(target) else os.path.splitext(target)[1].lower()
    if suffix not in WRITERS:
        said = f"suffix {suffix!r} names no" if suffix else "the name has no suffix that tells the"
        raise UsageError(f"{said} format of factors", where=target, hint=f"use {NAMED}")
    return WRITERS[suffix].load()


def check_target(target: str, inputs: Sequence[str], no_clobber: bool) -> None:
    """Refuse, before any computing, an output that could not be written or would destroy an input.

    Raises UsageError when the output is one of the inputs; OutputError for everything else.
    """
    if folders.is_folder(target):
        folders.check_target(target, inputs, no_clobber, is_replaceable)
    else:
        atomic.check_target(target, inputs, no_clobber)


def check_type(target: str, dtype: numpy.dtype) -> None:
    """Refuse, before any computing, a container that cannot hold values of this type. Raises UsageError."""
    container = check_suffix(target)
    if dtype.newbyteorder("<").str not in container.types:
        raise _unholdable(container, dtype, target)


def _unholdable(container: Container, dtype: numpy.dtype, target: str | None) -> UsageError:
    able = [
        "NAME/" if suffix == "/" else suffix
        for suffix, entry in WRITERS.items()
        if dtype.newbyteorder("<").str in entry.load().types
    ]
    hint = f"write {' or '.join(able)}" if able else None
    return UsageError(f"a {container.name} file cannot hold values of type {dtype}", where=target, hint=hint)


def save(factor: Approximation, report: dict[str, Any], target: str, *, no_clobber: bool = False) -> None:
    """Write factors and their report to a file, or a folder; the suffix decides the container.

    The same factors and report give the same bytes: the key ``run`` of the report is left out. The target holds the
    old content or the new one at every moment (``atomic.commit``, ``folders.commit``). Into a folder the workers of a
    cluster write what they hold (``folder_parts``). Raises UsageError for an
    unknown suffix, OutputError when it cannot be written.
    """
    container = check_suffix(target)
    if container.suffix == "/":
        from .folder_parts import commit, on_workers

        flat, meta = _flat(container, factor, report, target)
        if any(map(on_workers, flat.values())):
            return commit(target, flat, meta, is_replaceable, no_clobber)
    encoded = _encode(container, factor, report, target)
    if isinstance(encoded, dict):
        folders.commit(target, encoded, is_replaceable, no_clobber)
    else:
        atomic.commit(target, views(encoded), size_of(encoded), no_clobber)


def write_factors_to(fd: int, factor: Approximation, report: dict[str, Any]) -> None:
    """Write the bytes of a stored .npz to an open descriptor. Raises BrokenPipeError when nobody reads it."""
    atomic.write_all(fd, views(_encode(WRITERS[".npz"].load(), factor, report, STDOUT)), STDOUT)


def matrix_file(target: str) -> tuple[MatrixFile, bool]:
    """How a matrix is written under this name, .npy for a pipe or a device, and whether packed by gzip.

    Raises UsageError listing the suffixes.
    """
    if atomic.is_stream(target):
        return MATRICES[".npy"].load(), False
    stem, suffix = os.path.splitext(target.lower())
    packed = suffix == ".gz"
    entry = MATRICES.get(os.path.splitext(stem)[1] if packed else suffix)
    file: MatrixFile | None = None if entry is None else entry.load()
    if file is None or (packed and not file.packed):
        raise UsageError("the name says no format of a matrix", where=target, hint=f"let it end in {MATRIX_NAMED}")
    return file, packed


def check_array(target: str, dtype: numpy.dtype) -> None:
    """Refuse, before any computing, a file that cannot hold values of this type. Raises UsageError."""
    file, _ = matrix_file(target)
    if dtype.newbyteorder("<").str not in file.types:
        raise UsageError(f"a {file.name} file cannot hold values of type {dtype}", where=target, hint="write .npy")


def write_array(array: Any, target: str, *, no_clobber: bool = False) -> None:
    """Write one array, dense or sparse, as the suffix of the target says; a sparse one is made dense where the format
    has no other form. .npy keeps the order (C or Fortran) that it lies in.

    Raises UsageError for another suffix, or values the format cannot hold; OutputError when it cannot be written.
    """
    file, packed = matrix_file(target)
    check_array(target, array.dtype)
    if is_sparse(array):
        if not file.sparse:
            m, n = array.shape
            require(m * n * array.dtype.itemsize, f"the dense {m}x{n} matrix", f"{file.name} holds every zero")
            array = array.toarray()
        elif file is MATRICES[".npz"].load():
            from .sparse_writer import SparseRows, write

            return write(SparseRows(array.shape, array.dtype, str(array.dtype), iter([array]), []), target, no_clobber)
    try:
        chunks = file.encode(array)
    except UsageError as err:
        raise UsageError(err.what, where=target, hint=err.hint) from None
    if packed:
        chunks = _packed(chunks)
    atomic.commit(target, views(chunks), size_of(chunks), no_clobber)


def _packed(chunks: list[Any]) -> list[bytes]:
    """The chunks behind gzip, without a time stamp."""
    import zlib

    stream = zlib.compressobj(wbits=31)
    return [*(stream.compress(chunk) for chunk in chunks), stream.flush()]


def write_array_to(fd: int, array: Any) -> None:
    """Write one array as .npy to an open descriptor. Raises BrokenPipeError when nobody reads it."""
    atomic.write_all(fd, views(npy_chunks(array, keep_order=True)), STDOUT)


def load_factors(path: str) -> Saved:
    """Read factors back. Every value, name, shape and the stored report are held against their digests.

    Raises DamagedError when a file of factors is not what was written, InputError when it is none, or is of a later
    layout, or its arrays make no factorization.
    """
    container = _container(path)
    with _damage_of_ours(container, path):
        meta, flat = container.decode(path)
        factor_meta.check(meta, path)
        factor_meta.check_arrays(meta, flat, path)
        arrays = factor_meta.assemble_sparse(flat, path)
    try:
        factor = factors.assemble(meta["kind"], arrays)
    except InputError as err:
        raise InputError(err.what, where=path, hint=err.hint) from None
    return Saved(factor, meta["report"], meta["kind"], path, meta["digests"])


def load_headers(path: str) -> SavedHeaders:
    """Read what a file of factors says about itself, not its values. Raises errors like ``load_factors``."""
    container = _container(path)
    with _damage_of_ours(container, path):
        meta, infos = container.headers(path)
        factor_meta.check(meta, path)
        if sorted(infos) != sorted(meta["digests"]):
            raise DamagedError("its arrays are not those its metadata name", where=path, hint="the file is damaged")
    return SavedHeaders(meta["kind"], meta["product"], meta["report"], path, infos, meta["digests"])


def is_factors(path: str) -> bool:
    """Whether a file claims to hold factors written by lowrank, of any version. Reads no values, never raises."""
    try:
        return _container(path).holds(path)
    except InputError:
        return False


@contextlib.contextmanager
def _damage_of_ours(container: Container, path: str) -> Iterator[None]:
    """DamagedError only about a file that claims to be ours: any other is merely unreadable, an InputError."""
    try:
        yield
    except DamagedError as err:
        if container.holds(path):
            raise
        raise InputError(err.what, where=path, hint=err.hint) from err


def _encode(container: Container, factor: Approximation, report: dict[str, Any], target: str) -> Any:
    flat, meta = _flat(container, factor, report, target)
    return container.encode(meta({name: factor_meta.digest(array) for name, array in flat.items()}), flat)


def _flat(
    container: Container, factor: Approximation, report: dict[str, Any], target: str
) -> tuple[dict[str, Any], Callable[[dict[str, str]], dict[str, Any]]]:
    """The arrays as they are stored, and what makes the metadata of their digests."""
    stored = _of_the_values(report)
    try:
        flat = factor_meta.flatten(factor.arrays())
    except TypeError as err:
        raise OutputError(f"cannot store these factors: {err}", hint="convert them to float32 or float64") from None
    for array in flat.values():
        if array.dtype.str not in container.types:
            raise _unholdable(container, array.dtype, target)
    return flat, lambda digests: factor_meta.describe(factor.kind, factor.product, stored, digests)


def _of_the_values(report: dict[str, Any]) -> dict[str, Any]:
    """The report without what says where the values lay: the same values give the same file from any container."""
    kept = {name: value for name, value in report.items() if name != "run"}
    for side in ("input", *COMPANIONS):
        if isinstance(kept.get(side), dict):
            kept[side] = {**kept[side], "item": None}
    return kept


def _container(path: str) -> Container:
    """The container that a file's first bytes name, or that of folders. Raises InputError for what is none of them."""
    if path == "-":
        raise InputError("factors are not read from standard input", where=path, hint=f"name {NAMED}")
    head, readable = None, False
    try:
        mode = os.stat(path).st_mode
        # a pipe without a writer would hold us for ever, and no container can be read from one
        if stat.S_ISREG(mode):
            with open(path, "rb") as file:
                head = file.read(512)
        readable = stat.S_ISREG(mode) or stat.S_ISDIR(mode)
    except (OSError, ValueError) as err:
        reason = getattr(err, "strerror", None) or str(err)
        raise InputError(f"cannot be read: {reason}", where=path, hint="correct the path") from err
    if not readable:
        raise InputError("is not a regular file", where=path, hint=f"factors are read from {NAMED}")
    for entry in WRITERS.values():
        container = entry.load()
        if container.matches(head):
            return container
    raise InputError("holds no factors written by lowrank", where=path, hint=f"factors are stored as {NAMED}")
