"""Small files that ask for much: refused as an input or for their size, by a process that never takes the memory.

The child may map 2 GiB; what it held at most is read from the system when it has ended.
"""

from __future__ import annotations

import bz2
import gzip
import io
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import scipy.io
from shell.conftest import COMMAND, environment

MOST = 500 << 20
#: A process counts the memory of the one that started it as its own: let that be a small one.
WATCH = (
    "import resource, subprocess, sys\n"
    "resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))\n"
    "code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode\n"
    "print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)\n"
)
BANNER = b"%%MatrixMarket matrix array real general\n"


def zeros(mebibytes: int, head: bytes = b"", wbits: int = 15) -> bytes:
    """So many zeros behind a head, deflated."""
    packer, block = zlib.compressobj(1, zlib.DEFLATED, wbits), bytes(1 << 20)
    return packer.compress(head) + b"".join(packer.compress(block) for _ in range(mebibytes)) + packer.flush()


def header(shape: str) -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros((0, 1)))
    return file.getvalue().replace(b"(0, 1), }" + b" " * (len(shape) - 6), shape.encode() + b", }")


def npz(shape: str, mebibytes: int) -> bytes:
    file = io.BytesIO()
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("A.npy", "w") as out,
    ):
        out.write(header(shape))
        for _ in range(mebibytes):
            out.write(bytes(1 << 20))
    return file.getvalue()


def mat7(mebibytes: int) -> bytes:
    """A compressed variable that says it holds a few numbers, and holds more."""
    file = io.BytesIO()
    scipy.io.savemat(file, {"A": np.ones((3, 2))})
    plain = file.getvalue()
    packed = zeros(mebibytes, plain[128:])
    return plain[:128] + struct.pack("<II", 15, len(packed)) + packed


def chunk(tmp_path) -> bytes:
    """A matrix of one chunk of 2 GiB, of which some kilobytes are stored."""
    path = tmp_path / "made.h5"
    with h5py.File(path, "w") as file:
        made = file.create_dataset("A", (16383, 16384), "f8", chunks=(16383, 16384), compression="gzip")
        made.id.write_direct_chunk((0, 0), zeros(3))
    return path.read_bytes()


def png(width: int, height: int) -> bytes:
    def part(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", zeros(1)) + part(b"IEND", b"")


def parquet(tmp_path) -> bytes:
    """Nearly three hundred million zeros, said in runs."""
    path, rows = tmp_path / "made.parquet", pa.table({"a": np.zeros(10_000_000, np.int8)})
    with pa.parquet.ParquetWriter(path, rows.schema, compression="zstd") as writer:
        for _ in range(28):
            writer.write_table(rows, row_group_size=10_000_000)
    return path.read_bytes()


def arrow() -> bytes:
    """More than half a billion zeros in packed batches, of which each says so."""
    file, rows = io.BytesIO(), pa.record_batch({"a": np.zeros(20_000_000, np.int8)})
    with pa.ipc.new_file(file, rows.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        for _ in range(28):
            writer.write_batch(rows)
    return file.getvalue()


def tiff(side: int) -> bytes:
    """Four thousand pixels on one tile, which is as large as it says."""
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    block, count = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH), side * side >> 20
    data = b"\x78\x01" + count * block + b"\x03\x00" + struct.pack(">I", ((count << 20) % 65521 << 16) + 1)
    # width, height, bits, deflate, black is zero, samples, and the tile: its sides, its place, its size
    tags = [(256, 64), (257, 64), (258, 8), (259, 8), (262, 1), (277, 1), (322, side), (323, side), (324, 8)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in [*tags, (325, len(data))])
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", 10) + entries + bytes(4)


BOMBS: dict[str, Callable[..., bytes]] = {
    "more-than-said.npz": lambda _: npz("(2, 2)", 200),
    "less-than-said.npz": lambda _: npz("(90000, 90000)", 1),
    "pages-of.npy": lambda _: header("(9000000, 90000)"),
    "one-line.csv.gz": lambda _: b"\x1f\x8b\x08" + bytes(7) + zeros(200, b"1,2\n", -15) + struct.pack("<II", 0, 0),
    "one-line.csv.bz2": lambda _: bz2.compress(b"1,2\n" + b"7" * (50 << 20)),
    "one-comment.mtx.gz": lambda _: gzip.compress(
        b"%%MatrixMarket matrix array real general\n%" + b"x" * (100 << 20), 1
    ),
    "nested.csv.gz": lambda _: gzip.compress(gzip.compress(gzip.compress(bytes(100 << 20), 1))),
    "more-than-said.mat": lambda _: mat7(200),
    "chunk.h5": chunk,
    "pixels.png": lambda _: png(100_000, 100_000),
    "some-pixels.png": lambda _: png(13_000, 13_000),
    "runs.parquet": parquet,
    "runs.arrow": lambda _: arrow(),
    "one-tile.tif": lambda _: tiff(24_576),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_and_its_memory_never_taken(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(BOMBS[name](tmp_path))
    assert path.stat().st_size < 12 << 20
    code, most, lines = watched(path)
    assert code in (4, 7), (code, lines)
    assert len(lines) == 1 and lines[0].startswith("lowrank: error: "), lines
    assert most < MOST, most


def watched(path) -> tuple[int, int, list[str]]:
    """Exit code, most bytes in memory and what was said of an approximation."""
    done = subprocess.run(
        [sys.executable, "-c", WATCH, *COMMAND, "approx", str(path), "-k", "1"],
        capture_output=True,
        text=True,
        check=True,
        env=environment(OPENBLAS_NUM_THREADS="1", ARROW_DEFAULT_MEMORY_POOL="system"),
    )
    code, most = map(int, done.stdout.split())
    return code, most, done.stderr.splitlines()


def test_a_long_name_that_many_rows_of_a_table_have_is_kept_once(tmp_path):
    path, rows = tmp_path / "names.parquet", 1000
    names = pa.array(["x" * (1 << 20)] * 2).dictionary_encode().take(pa.array([0] * rows))
    table = pa.table({"name": names, "a": np.arange(float(rows)), "b": np.ones(rows)})
    pa.parquet.write_table(table, path, compression="zstd", store_schema=False)
    assert path.stat().st_size < 1 << 20
    code, most, lines = watched(path)
    assert code == 0 and lines == [] and most < MOST, (code, most, lines)
