"""Our own parsers, each as a function of bytes that may only return or raise what it announces.

Where something is read in two ways, both have to take it and come to the same bits, or both to refuse it. A new parser
gets a function here and a line in ``TARGETS``; its corpus is ``corpus/NAME/``, a file an input, and of what fuzzing
found the fewest that reach as much, in ``found``.
"""

from __future__ import annotations

import hashlib
import io
import os
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from lowrank_cli.errors import LowrankError
from lowrank_cli.formats import (
    checkpoint_records,
    factor_meta,
    mat4,
    mat5,
    mat_factors,
    mtx,
    npy,
    npz,
    npz_factors,
    pnm,
    raw,
    safetensors,
    safetensors_factors,
    text,
    zarr_store,
)
from lowrank_cli.formats.text_values import Values

CORPUS = Path(__file__).with_name("corpus")


class Pipe(io.RawIOBase):
    """The data as a pipe gives them: forwards only, some at a time."""

    def __init__(self, data: bytes, most: int = 1 << 16):
        self._data, self._most = io.BytesIO(data), most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        return self._data.readinto(memoryview(buffer)[: self._most])


@contextmanager
def _file(data: bytes) -> Iterator[int]:
    """An open file without a name that holds the data."""
    fd = os.memfd_create("fuzz")
    try:
        os.write(fd, data)
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _path(data: bytes) -> Iterator[str]:
    with _file(data) as fd:
        yield f"/proc/self/fd/{fd}"


def _any(*ways: Callable[[], Any]) -> None:
    """Go all these ways; LowrankError when all of them refuse."""
    refusals = []
    for way in ways:
        try:
            way()
        except LowrankError as error:
            assert "\n" not in error.line(), error.line()
            refusals.append(error)
    if len(refusals) == len(ways):
        raise refusals[0]


def _agree(*ways: Callable[[], Any]) -> Any:
    """Go all these ways, each of which gives a matrix; InputError when all of them refuse."""
    found, refusals = [], []
    for way in ways:
        try:
            found.append(way())
        except LowrankError as error:
            refusals.append(error)
    if refusals:
        assert not found, f"taken one way, refused another: {refusals[0].line()}"
        raise refusals[0]
    first, *others = (one.array if not hasattr(one.array, "toarray") else one.array.toarray() for one in found)
    for other, loaded in zip(others, found[1:], strict=True):
        assert first.tobytes() == other.tobytes() and first.dtype == other.dtype, (first, other)
        assert (found[0].notes, found[0].names) == (loaded.notes, loaded.names), (found[0].notes, loaded.notes)
    return found[0]


def npy_file(data: bytes) -> None:
    """By name, through a pipe, and by NumPy, which takes whatever we take."""
    with _path(data) as path:
        loaded = _agree(lambda: npy.load(path), lambda: npy.load_stream(Pipe(data, 100), path))
    with warnings.catch_warnings():
        # of a header that it reads in a second way, as one of Python 2
        warnings.simplefilter("ignore")
        theirs = np.load(io.BytesIO(data), max_header_size=1 << 20)
    theirs = theirs.view(np.uint8) != 0 if theirs.dtype == bool else theirs
    assert np.array_equal(loaded.array, theirs.astype(loaded.array.dtype), equal_nan=True)


def mtx_file(data: bytes) -> None:
    """The fast way of a file, and the exact one of a pipe."""
    _agree(
        lambda: mtx.load_stream(io.BufferedReader(io.BytesIO(data)), "f"),
        lambda: mtx.load_stream(io.BufferedReader(Pipe(data)), "f"),
    )


def text_table(data: bytes) -> None:
    """Many lines at a time by NumPy, and field by field as the bytes trickle in."""

    def exact() -> Any:
        with mock.patch.object(Values, "_fast", return_value=None):
            return text.load_stream(Pipe(data, 50), "f")

    _agree(lambda: text.load_stream(io.BytesIO(data), "f"), exact)


def pnm_image(data: bytes) -> None:
    pnm.load_stream(io.BytesIO(data), "f", "red" if data[1:2] in b"36" else None)


def mat4_file(data: bytes) -> None:
    for variable in mat4.variables(io.BytesIO(data), len(data), "f"):
        variable.read("f")


def mat5_file(data: bytes) -> None:
    """As it is, and with all of it as one packed element."""

    def read(data: bytes) -> None:
        for variable in mat5.variables(io.BytesIO(data), len(data), "f"):
            variable.read("f")

    packed = zlib.compress(data[128:], 1)
    kind = struct.pack("<II" if data[126:128] == b"IM" else ">II", 15, len(packed))
    _any(lambda: read(data[:128] + kind + packed), lambda: read(data))


def _container(data: bytes, factors: Any, matrices: Any) -> None:
    """A matrix, or factors."""
    with _path(data) as path:
        _any(
            lambda: factors.headers(path),
            lambda: factors.decode(path),
            lambda: [matrices.load(path, item.path) for item in matrices.items(path)],
        )


def npz_archive(data: bytes) -> None:
    _container(data, npz_factors, npz)


def mat_factor_file(data: bytes) -> None:
    with _path(data) as path:
        _any(lambda: mat_factors.headers(path), lambda: mat_factors.decode(path))


def safetensors_file(data: bytes) -> None:
    _container(data, safetensors_factors, safetensors)


def factor_description(data: bytes) -> None:
    """The digest is set right first: it shows damage, and whoever forges a file can make it."""
    meta = factor_meta.parse(data, "f")
    if isinstance(meta, dict) and "meta_digest" in meta:
        rest = {name: value for name, value in meta.items() if name != "meta_digest"}
        meta["meta_digest"] = "sha256:" + hashlib.sha256(factor_meta.canonical(rest)).hexdigest()
    factor_meta.check(meta, "f")


def raw_spec(data: bytes) -> None:
    words = data.decode("latin-1")
    if raw.is_spec(words):
        raw.described(words, None)
    raw.spec(words)


def zarr_metadata(data: bytes) -> None:
    for mark in ("zarr.json", ".zarray"):
        meta = zarr_store.described(data, mark, "f")
        if meta is not None:
            zarr_store.entry(meta, None, "f")


def checkpoint_record(data: bytes) -> None:
    """The hashes are set right first: they show damage, and whoever forges a record can make them."""
    with _file(_hashed(data)) as fd:
        for record in checkpoint_records.records(fd):
            try:
                checkpoint_records.value(record)
                checkpoint_records.value(record, {"state": [], "sums": {}})
            except checkpoint_records.Unreadable:
                pass


def _hashed(data: bytes) -> bytes:
    """``HEADER NUL BODY`` as a record."""
    header, _, body = data.partition(b"\0")
    head = checkpoint_records.MAGIC + struct.pack("<QQ", len(header), len(body)) + header
    return head + hashlib.sha256(head).digest() + body + hashlib.sha256(body).digest()


TARGETS: dict[str, Callable[[bytes], None]] = {
    "npy": npy_file,
    "npz": npz_archive,
    "mtx": mtx_file,
    "text": text_table,
    "pnm": pnm_image,
    "mat4": mat4_file,
    "mat5": mat5_file,
    "mat_factors": mat_factor_file,
    "safetensors": safetensors_file,
    "meta": factor_description,
    "raw": raw_spec,
    "zarr": zarr_metadata,
    "records": checkpoint_record,
}


def attempt(name: str, data: bytes) -> bool:
    """Whether the parser took the input; anything but a refusal of one line goes up, a warning too."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            TARGETS[name](data)
    except LowrankError as error:
        assert "\n" not in error.line(), error.line()
        return False
    return True


def corpus(name: str) -> tuple[list[bytes], list[bytes]]:
    """What was written for the parser, and what fuzzing found."""
    written, found = (
        [p.read_bytes() for p in sorted((CORPUS / name / part).glob("*")) if p.is_file()] for part in ("", "found")
    )
    return written, found
