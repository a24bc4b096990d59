"""Damaged and hostile files of every format: a matrix or one line of LowrankError, no traceback, no large allocation.

Each sample is cut at many lengths, has bytes flipped, and has the numbers of its headers replaced by the largest there
are. The mutations are drawn from fixed seeds.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp

from lowrank_cli.errors import LowrankError
from lowrank_cli.formats.opening import list_items, open_matrix

A = np.round(np.random.default_rng(3).standard_normal((7, 5)), 3)
SPARSE = sp.csr_array(np.where(A > 0.3, A, 0))
#: Bytes that reading a damaged file of some hundred bytes may take.
MOST = 48 << 20


def written(write) -> bytes:
    file = io.BytesIO()
    write(file)
    return file.getvalue()


def table() -> bytes:
    lines = ["gene,a,b,c,d,e", *(f"g{k}," + ",".join(map(repr, row)) for k, row in enumerate(A.tolist()))]
    return ("\n".join(lines) + "\n").encode()


def mat(version: str, **arrays) -> bytes:
    how = {"4": {"format": "4"}, "6": {}, "7": {"do_compression": True}}[version]
    return written(lambda file: scipy.io.savemat(file, arrays, **how))


def safetensors() -> bytes:
    head = json.dumps({"w": {"dtype": "F64", "shape": [7, 5], "data_offsets": [0, 280]}}).encode()
    return len(head).to_bytes(8, "little") + head + A.tobytes()


SAMPLES = {
    "npz": written(lambda file: np.savez(file, A=A, b=A[0])),
    "npz-deflated": written(lambda file: np.savez_compressed(file, A=A)),
    "npz-sparse": written(lambda file: sp.save_npz(file, SPARSE, compressed=False)),
    "npz-coo": written(lambda file: sp.save_npz(file, SPARSE.tocoo())),
    "npz-bsr": written(lambda file: sp.save_npz(file, SPARSE.tobsr((7, 1)), compressed=False)),
    "npz-dia": written(lambda file: sp.save_npz(file, SPARSE.todia(), compressed=False)),
    "csv": table(),
    "csv-gzip": gzip.compress(table(), mtime=0),
    "csv-bzip2": bz2.compress(table()),
    "mat4": mat("4", A=A, S=SPARSE),
    "mat6": mat("6", A=A, P={"S": SPARSE, "t": "text"}),
    "mat7": mat("7", A=A),
    "mat7-sparse": mat("7", S=SPARSE * 1j),
    "safetensors": safetensors(),
    "pgm": b"P5\n7 5\n255\n" + bytes(range(35)),
    "pgm-text": b"P2\n7 5\n99\n" + " ".join(map(str, range(35))).encode(),
    "ppm": b"P6\n7 5\n65535\n" + bytes(range(210)),
}


def mutations(content: bytes, seed: int) -> Iterator[bytes]:
    """Cut, flipped and with numbers replaced."""
    rng = np.random.default_rng(seed)
    for cut in rng.integers(1, len(content), 15):
        yield content[:cut]
    for _ in range(30):
        raw = bytearray(content)
        for at in rng.integers(0, len(raw), rng.integers(1, 4)):
            raw[at] ^= 1 << int(rng.integers(0, 8))
        yield bytes(raw)
    for number in (b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\x00\x00\x00\x80", b"\0\0\0\0", b"9999"):
        for at in rng.integers(0, len(content) - 4, 4):
            yield content[:at] + number + content[at + 4 :]
    yield content + content
    yield content + bytes(1)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 11))])
@pytest.mark.parametrize("name", SAMPLES)
def test_a_damaged_file_is_read_or_refused_in_one_line_and_little_memory(tmp_path, name, seed):
    path = tmp_path / "sample"
    path.write_bytes(SAMPLES[name])
    items = [item.path for item in list_items(str(path))[1]]
    refused = 0
    tracemalloc.start()
    try:
        for content in mutations(SAMPLES[name], seed):
            path.write_bytes(content)
            for action in (lambda: open_matrix(str(path), items[0]), lambda: list_items(str(path))):
                try:
                    action()
                except LowrankError as error:
                    assert "\n" not in str(error)
                    refused += 1
        assert tracemalloc.get_traced_memory()[1] < MOST
    finally:
        tracemalloc.stop()
    assert refused > 15
