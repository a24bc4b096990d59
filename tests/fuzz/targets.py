"""Our own parsers, each as a function of bytes that may only return or raise what it announces.

A new parser gets a function here and a line in ``TARGETS``; its corpus is ``corpus/NAME/``, a file an input.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lowrank_cli.errors import LowrankError
from lowrank_cli.formats import checkpoint_records, factor_meta, mat4, mat5, mtx, npy, pnm, raw, safetensors, text

CORPUS = Path(__file__).with_name("corpus")


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


def npy_file(data: bytes) -> None:
    npy.load_stream(io.BytesIO(data), "f")


def mtx_file(data: bytes) -> None:
    mtx.load_stream(io.BufferedReader(io.BytesIO(data)), "f")


def text_table(data: bytes) -> None:
    text.load_stream(io.BytesIO(data), "f")


def pnm_image(data: bytes) -> None:
    pnm.load_stream(io.BytesIO(data), "f", "red" if data[1:2] in b"36" else None)


def mat4_file(data: bytes) -> None:
    for variable in mat4.variables(io.BytesIO(data), len(data), "f"):
        variable.read("f")


def mat5_file(data: bytes) -> None:
    for variable in mat5.variables(io.BytesIO(data), len(data), "f"):
        variable.read("f")


def safetensors_header(data: bytes) -> None:
    with _file(data) as fd, open(fd, "rb", closefd=False) as file:
        safetensors.read_header(file, "f")


def factor_description(data: bytes) -> None:
    factor_meta.check(factor_meta.parse(data, "f"), "f")


def raw_spec(data: bytes) -> None:
    words = data.decode("latin-1")
    if raw.is_spec(words):
        raw.described(words, None)
    raw.spec(words)


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
    import hashlib
    import struct

    header, _, body = data.partition(b"\0")
    head = checkpoint_records.MAGIC + struct.pack("<QQ", len(header), len(body)) + header
    return head + hashlib.sha256(head).digest() + body + hashlib.sha256(body).digest()


TARGETS: dict[str, Callable[[bytes], None]] = {
    "npy": npy_file,
    "mtx": mtx_file,
    "text": text_table,
    "pnm": pnm_image,
    "mat4": mat4_file,
    "mat5": mat5_file,
    "safetensors": safetensors_header,
    "meta": factor_description,
    "raw": raw_spec,
    "records": checkpoint_record,
}


def attempt(name: str, data: bytes) -> bool:
    """Whether the parser took the input; anything but a refusal of one line goes up."""
    try:
        TARGETS[name](data)
    except LowrankError as error:
        assert "\n" not in error.line(), error.line()
        return False
    return True


def corpus(name: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]
