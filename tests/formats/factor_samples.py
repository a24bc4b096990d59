"""Small factorizations of every kind, and what it means that one came back."""

from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

from lowrank_cli.factors.cr import CR
from lowrank_cli.factors.cur import CUR
from lowrank_cli.factors.diag_lowrank import DiagonalPlusLowRank
from lowrank_cli.factors.interpolative import ColumnID, RowID, TwoSidedID
from lowrank_cli.factors.kron import KroneckerSum
from lowrank_cli.factors.lora import LoRA
from lowrank_cli.factors.nmf import NMF
from lowrank_cli.factors.nystrom import ColumnNystrom, Nystrom
from lowrank_cli.factors.qb import QB
from lowrank_cli.factors.rank1 import Marginals
from lowrank_cli.factors.svd import SVD
from lowrank_cli.factors.vq import Codes, ProductCodes
from lowrank_cli.formats import WRITERS, factor_meta

SUFFIXES = (".npz", ".h5", ".mat", ".safetensors")
REPORT = {
    "schema": "lowrank.report/1",
    "rank": 2,
    "error": {"relative": 0.1 + 0.2, "kind": "exact", "probes": None},
    "input": {"item": "[/x] \x1b é \udcff", "shape": [6, 5]},
    "list": [1, [2.5, "three"], True],
}
#: What a file keeps of it: not where in its container the matrix lay.
STORED = {**REPORT, "input": {**REPORT["input"], "item": None}}


def values(shape, dtype, seed=0):
    rng = np.random.default_rng([seed, *shape])
    made = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        made = made + 1j * rng.standard_normal(shape)
    made = made.astype(dtype)
    made.reshape(-1)[0] = -0.0
    return made


def sparse(shape, dtype, seed=0):
    dense = values(shape, dtype, seed)
    dense[np.random.default_rng(seed).random(shape) < 0.6] = 0
    return csr_array(dense)


def svd(dtype=np.float64):
    return SVD(values((6, 2), dtype), np.array([2.5, 1e-300]), values((2, 5), dtype, 1))


def factorizations():
    for dtype in (np.float32, np.float64, np.complex64, np.complex128):
        name = np.dtype(dtype).name
        yield f"svd-{name}", svd(dtype)
        yield f"id-{name}", ColumnID(np.array([4, 0, 2]), values((6, 3), dtype), values((3, 5), dtype))
        yield f"id-sparse-{name}", ColumnID(np.array([4, 0, 2]), sparse((6, 3), dtype), values((3, 5), dtype))
        yield f"id-rows-{name}", RowID(np.array([5, 1]), values((2, 5), dtype), values((6, 2), dtype))
        yield f"id-rows-sparse-{name}", RowID(np.array([5, 1]), sparse((2, 5), dtype), values((6, 2), dtype))
        both, left = (np.array([5, 1]), np.array([4, 0])), values((6, 2), dtype)
        yield f"id-both-{name}", TwoSidedID(*both, left, values((2, 2), dtype), values((2, 5), dtype))
        yield f"id-both-sparse-{name}", TwoSidedID(*both, left, sparse((2, 2), dtype), values((2, 5), dtype))
        yield f"qb-{name}", QB(values((6, 2), dtype), values((2, 5), dtype, 1))
        yield f"lora-{name}", LoRA(values((2, 5), dtype, 1), values((6, 2), dtype), np.array([3.0], np.float32))
        yield f"kron-{name}", KroneckerSum(values((2,), np.float64), values((6, 5), dtype), values((4, 1), dtype))
        cols, rows, core = np.array([4, 0]), np.array([5, 1, 2]), values((2, 3), dtype)
        yield f"cur-{name}", CUR(cols, rows, values((6, 2), dtype), core, values((3, 5), dtype), core)
        yield f"cur-sparse-{name}", CUR(cols, rows, sparse((6, 2), dtype), core, sparse((3, 5), dtype), core)
        parts = values((5,), dtype), values((5, 2), dtype), values((2,), np.float64), values((2, 5), dtype)
        yield f"diag-lowrank-{name}", DiagonalPlusLowRank(*parts)
        codes = np.array([[0, 1], [1, 1], [0, 0]], np.uint8)
        yield f"vq-{name}", Codes(codes, values((4, 5), dtype))
        yield f"vq-product-{name}", ProductCodes(codes.astype(np.uint16), values((2, 5), dtype), np.array([0, 3]))
        yield f"nmf-{name}", NMF(values((6, 2), dtype), values((2, 5), dtype))
        yield f"rank1-{name}", Marginals(values((6,), dtype), values((5,), dtype))
        yield f"nystrom-{name}", Nystrom(values((6, 2), dtype))
        yield f"nystrom-cols-{name}", ColumnNystrom(np.array([3, 0]), values((6, 2), dtype))
        repeated = np.array([3, 3, 0])
        yield f"cr-{name}", CR(repeated, values((3,), np.float64), values((6, 3), dtype), values((3, 5), dtype))


CASES = dict(factorizations())


def assert_same(expected, got):
    assert type(expected) is type(got)
    for name, array in expected.arrays().items():
        other = got.arrays()[name]
        assert type(other) is type(array)
        assert other.shape == array.shape and other.dtype == array.dtype
        if hasattr(array, "indptr"):
            assert np.array_equal(other.indptr, array.indptr) and np.array_equal(other.indices, array.indices)
            array, other = array.data, other.data
        assert other.tobytes() == array.tobytes()


def content(path) -> dict[str, bytes] | bytes:
    """The bytes of a file, or of every file of a folder."""
    found = Path(path)
    return {one.name: one.read_bytes() for one in found.iterdir()} if found.is_dir() else found.read_bytes()


def containers(factor) -> list[str]:
    """The suffixes of the containers that can hold these factors."""
    return [suffix for suffix, entry in WRITERS.items() if set(types(factor)) <= set(entry.load().types)]


def types(factor) -> list[str]:
    return [array.dtype.str for array in factor_meta.flatten(factor.arrays()).values()]
