"""A small whole file of every format, for damaging."""

from __future__ import annotations

import bz2
import gzip
import io
import json

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import scipy.io
import scipy.sparse as sp
from PIL import Image

A = np.round(np.random.default_rng(3).standard_normal((7, 5)), 3)
SPARSE = sp.csr_array(np.where(A > 0.3, A, 0))


def written(write) -> bytes:
    file = io.BytesIO()
    write(file)
    return file.getvalue()


def table() -> bytes:
    lines = ["gene,a,b,c,d,e", *(f"g{k}," + ",".join(map(repr, row)) for k, row in enumerate(A.tolist()))]
    return ("\n".join(lines) + "\n").encode()


def mtx(matrix, **how) -> bytes:
    return written(lambda file: scipy.io.mmwrite(file, matrix, **how))


def mat(version: str, **arrays) -> bytes:
    how = {"4": {"format": "4"}, "6": {}, "7": {"do_compression": True}}[version]
    return written(lambda file: scipy.io.savemat(file, arrays, **how))


def safetensors() -> bytes:
    head = json.dumps({"w": {"dtype": "F64", "shape": [7, 5], "data_offsets": [0, 280]}}).encode()
    return len(head).to_bytes(8, "little") + head + A.tobytes()


def hdf5(put, **how) -> bytes:
    def write(file) -> None:
        with h5py.File(file, "w", **how) as made:
            put(made)

    return written(write)


def _sparse_group(file) -> None:
    for name in ("data", "indices", "indptr"):
        file[f"X/{name}"] = getattr(SPARSE, name)
    file["X"].attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": SPARSE.shape})


def image(kind: str) -> bytes:
    return written(lambda file: Image.fromarray(np.arange(35, dtype=np.uint8).reshape(7, 5)).save(file, kind))


def _arrow(file) -> None:
    made = pa.table({"a": A[:, 0], "b": A[:, 1]})
    with pa.ipc.new_file(file, made.schema) as writer:
        writer.write_table(made)


#: What our own code, NumPy and the standard library read.
SAMPLES = {
    "npy": written(lambda file: np.save(file, A)),
    "npy-fortran": written(lambda file: np.save(file, np.asfortranarray(A.astype(">f4")))),
    "npz": written(lambda file: np.savez(file, A=A, b=A[0])),
    "npz-deflated": written(lambda file: np.savez_compressed(file, A=A)),
    "npz-sparse": written(lambda file: sp.save_npz(file, SPARSE, compressed=False)),
    "npz-coo": written(lambda file: sp.save_npz(file, SPARSE.tocoo())),
    "npz-bsr": written(lambda file: sp.save_npz(file, SPARSE.tobsr((7, 1)), compressed=False)),
    "npz-dia": written(lambda file: sp.save_npz(file, SPARSE.todia(), compressed=False)),
    "mtx": mtx(SPARSE.tocoo()),
    "mtx-array": mtx(A),
    "mtx-symmetric": mtx(sp.coo_array(A.T @ A), symmetry="symmetric"),
    "mtx-gzip": gzip.compress(mtx(SPARSE.tocoo() * 1j), mtime=0),
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
#: What a library in C or C++ reads: a crash is possible, so they are read in a child.
NATIVE = {
    "hdf5": hdf5(lambda file: file.create_dataset("g/A", data=A, chunks=(3, 2), compression="gzip", fletcher32=True)),
    "hdf5-latest": hdf5(lambda file: file.create_dataset("A", data=A), libver="latest"),
    "hdf5-sparse": hdf5(_sparse_group),
    "png": image("PNG"),
    "tiff": image("TIFF"),
    "jpeg": image("JPEG"),
    "parquet": written(lambda file: pa.parquet.write_table(pa.table({"a": A[:, 0], "b": A[:, 1]}), file)),
    "feather": written(lambda file: pa.feather.write_feather(pa.table({"a": A[:, 0], "b": A[:, 1]}), file)),
    "arrow": written(_arrow),
}
