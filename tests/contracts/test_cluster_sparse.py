"""Workers of a cluster read sparse matrices, by rows and by columns, and give the bits of one process."""

from __future__ import annotations

import types
import zlib

import gallery
import h5py
import numpy as np
import pytest
from contracts.clusters import assert_same_as_one_process
from scipy import io, sparse

from lowrank_cli import api
from lowrank_cli.analysis.spectrum import spectrum
from lowrank_cli.analysis.verify import verify
from lowrank_cli.api import Job
from lowrank_cli.budget import Budget
from lowrank_cli.engines.threads import SerialEngine
from lowrank_cli.errors import ClusterError, InputError, UsageError
from lowrank_cli.formats.clustered import open_on
from lowrank_cli.formats.opening import open_matrix
from lowrank_cli.matrices.digest import crc32_joined, digest
from lowrank_cli.matrices.lines import Lines
from lowrank_cli.matrices.spread import Spread
from lowrank_cli.matrices.spread_turned import plan


def matrix(m=13_000, n=600, dtype="f8", each=12, seed=0):
    """Rows of about so many entries, some without any, more of them in the first columns."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, m, m * each)
    rows = rows[rows % 11 != 5]
    cols = (n * rng.random(len(rows)) ** 2).astype(int)
    values = rng.standard_normal(len(rows)) * (1.0 + 50.0 / (1 + cols))
    values = values * (1 + 0.5j) if np.dtype(dtype).kind == "c" else values
    return sparse.csr_array(sparse.coo_array((values.astype(dtype), (rows, cols)), shape=(m, n)))


def saved(path, A, **more):
    np.savez(path, format=A.format.encode(), shape=A.shape, data=A.data, indices=A.indices, indptr=A.indptr, **more)
    return str(path)


def grouped(path, A, **more):
    with h5py.File(path, "w") as file:
        group = file.create_group("X")
        group.attrs["encoding-type"], group.attrs["shape"] = f"{A.format}_matrix", A.shape
        for name in ("data", "indices", "indptr"):
            group.create_dataset(name, data=getattr(A, name), **more)
    return str(path)


@pytest.fixture(scope="module", params=["csr", "csc"])
def path(tmp_path_factory, request):
    return saved(tmp_path_factory.mktemp("sparse") / "A.npz", matrix().asformat(request.param))


def both(cluster, path, item=None):
    """The matrix as workers read it, and as this process has it."""
    return (api.tiled(found, SerialEngine()) for found in (open_on(cluster, path, item), open_matrix(path, item)))


def same(one, other):
    assert one.dtype == other.dtype and np.asarray(one).tobytes() == np.asarray(other).tobytes()


ROWS = ["f4", "c16", "i2", "wide", "unsorted", "h5", "h5 gzip"]
KINDS = [*ROWS, *(f"{kind} csc" for kind in ("c16", "i2", "wide", "unsorted", "h5 gzip", "square", "narrow"))]


def written(folder, kind):
    first = kind.split()[0]
    A = matrix(9000, 5 if first == "narrow" else 300, first if first in ("f4", "c16", "i2") else "f8", each=5)
    if first == "square":
        A = matrix(9000, 9000, each=3)
    if first == "wide":
        A = sparse.csr_array(A.T)
    if "csc" in kind:
        A = sparse.csc_array(A)
    if first == "unsorted":
        # and the last entry of each longer line named as often as the first
        A.indices, A.data = A.indices.copy(), A.data.copy()
        for first, last in zip(A.indptr[:-1], A.indptr[1:], strict=True):
            A.indices[first:last] = A.indices[first:last][::-1]
            if last - first > 2:
                A.indices[last - 1] = A.indices[first]
    if first == "h5":
        more = {"chunks": (300,), "compression": "gzip"} if "gzip" in kind else {}
        return grouped(folder / "A.h5", A, **more), "X"
    return saved(folder / "A.npz", A), None


@pytest.mark.parametrize("kind", KINDS)
def test_passes_over_files_of_every_kind_have_the_bits_of_one_process(cluster, tmp_path, kind):
    there, here = both(cluster, *written(tmp_path, kind))
    assert (there.shape, there.dtype, there.nnz, there.grid) == (here.shape, here.dtype, here.nnz, here.grid)
    (m, n), rng = here.shape, np.random.default_rng(1)
    X, Y = (rng.standard_normal((length, 3)).astype(here.dtype) for length in (n, m))
    for name, operand in (("normal_matmat", X), ("adjoint_normal_matmat", Y)):
        for mine, theirs in zip(getattr(there, name)(operand), getattr(here, name)(operand), strict=True):
            same(mine, theirs)
    same(there.sweep().column_squares, here.sweep().column_squares)
    assert digest(there, "x") == digest(here, "x")


def test_an_svd_has_the_bits_of_one_process(cluster, path):
    outcome = assert_same_as_one_process(cluster, path, Job("approx", "svd", Budget(rank=6)))
    assert outcome.facts["kernels"][0] == "block krylov" and isinstance(outcome.factor.U, Spread)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_an_svd_of_files_of_every_kind_has_the_bits_of_one_process(cluster, tmp_path, kind):
    path, item = written(tmp_path, kind)
    assert_same_as_one_process(cluster, path, Job("approx", "svd", Budget(rank=4)), item)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "budget"),
    [
        ("svd", Budget(rtol=0.5)),
        ("svd", Budget(rank=6, certify="probes")),
        *((method, Budget(rank=5)) for method in ("qb", "id", "cur")),
    ],
)
def test_other_work_has_the_bits_of_one_process(cluster, path, method, budget):
    assert_same_as_one_process(cluster, path, Job("approx", method, budget))


@pytest.mark.slow
def test_one_worker_and_smaller_shards_give_the_same_bits(path):
    from lowrank_cli.engines.cluster import local

    with local(1, 2 << 30) as own:
        assert_same_as_one_process(own, path, Job("approx", "svd", Budget(rank=6)))


@pytest.mark.slow
def test_a_spectrum_has_the_values_of_one_process(cluster, path):
    assert spectrum(open_on(cluster, path, None), k=5) == spectrum(open_matrix(path), k=5)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_network_has_the_bits_of_one_process_and_nothing_but_sums_leaves_the_workers(cluster, tmp_path):
    """Of so many entries, zeros counted, that its error comes from a product."""
    A = sparse.csr_array(io.mmread(gallery.real("p2p-Gnutella31.mtx"))).astype(float)
    path, (m, n) = saved(tmp_path / "A.npz", A), A.shape
    before = cluster.gathered
    outcome = assert_same_as_one_process(cluster, path, Job("approx", "svd", Budget(rank=3)))
    assert len(outcome.factor.U.home.shards) == 15
    # compare took U; of the run a sum of 32 columns in single precision came for each product, a few in double
    came = cluster.gathered - before - m * 3 * 8
    assert came < (outcome.ledger.products + 8) * n * 32 * 4


@pytest.mark.slow
def test_verify_finds_an_error_that_holds(cluster, path):
    outcome, report = api.run(Job("approx", "svd", Budget(rank=6)), open_matrix(path))
    loaded = open_on(cluster, path, None)
    said = verify(outcome.factor, report, loaded)
    assert said == verify(outcome.factor, report, open_matrix(path)) and said["holds"]


@pytest.mark.parametrize(("transposed", "scale"), [(True, 1.0), (False, 1e-200)])
def test_facts_at_every_scale_are_those_of_one_process(cluster, tmp_path, transposed, scale):
    A = matrix(9000, 60)
    A.data *= scale
    there, here = (one.sweep(transposed) for one in both(cluster, saved(tmp_path / "A.npz", A)))
    assert (there.max_abs, there.exponent, there.kernel) == (here.max_abs, here.exponent, here.kernel)
    same(there.column_squares, here.column_squares)


@pytest.mark.parametrize("layout", ["csr", "csc"])
def test_entries_that_are_not_finite_are_found_with_their_place(cluster, tmp_path, layout):
    A = matrix(9000, 60).asformat(layout)
    A.data[[30_000, 40_001]] = np.nan, np.inf
    path = saved(tmp_path / "A.npz", A)
    said = []
    for loaded in (open_on(cluster, path, None), open_matrix(path)):
        with pytest.raises(InputError, match="2 entries are NaN") as caught:
            api.tiled(loaded, SerialEngine()).sweep()
        said.append(caught.value.what)
    assert said[0] == said[1]


@pytest.mark.parametrize(("layout", "limit"), [("csr", 60), ("csc", 9000)])
def test_an_index_out_of_range_is_found_by_the_worker_that_reads_it(cluster, tmp_path, layout, limit):
    A = matrix(9000, 60).asformat(layout)
    A.indices[70_000] = limit
    with pytest.raises(InputError, match=f"outside 0 to {limit - 1}"):
        api.tiled(open_on(cluster, saved(tmp_path / "A.npz", A), None), SerialEngine())


def test_what_workers_cannot_read_in_parts_is_refused_with_what_makes_it_so(cluster, tmp_path):
    A = matrix(300, 60)
    sparse.save_npz(tmp_path / "packed.npz", A)
    io.mmwrite(tmp_path / "A.mtx", A)
    for name in ("packed.npz", "A.mtx"):
        with pytest.raises(UsageError, match=r"sparse ones of HDF5 files and \.npz, not packed.*lowrank convert"):
            open_on(cluster, str(tmp_path / name), None)


def test_a_matrix_by_columns_without_any_entries_has_the_bits_of_one_process(cluster, tmp_path):
    with h5py.File(tmp_path / "A.h5", "w") as file:
        group = file.create_group("X")
        # as MATLAB writes it: neither data nor ir
        group.attrs["MATLAB_sparse"], group.attrs["MATLAB_class"] = np.uint64(9000), np.bytes_("double")
        group.create_dataset("jc", data=np.zeros(51, np.uint64))
    assert_same_as_one_process(cluster, str(tmp_path / "A.h5"), Job("approx", "svd", Budget(rank=2)))


def columns(lengths, m):
    """Lines that are columns of so many entries."""
    pointer = np.concatenate([[0], np.cumsum(lengths)])
    return Lines((m, len(lengths)), np.dtype("f8"), False, pointer, np.int32, None, 1 << 20)


@pytest.mark.parametrize(
    ("lengths", "threads", "memory", "parts"),
    [
        ([10] * 100, 4, 1 << 30, 4),
        ([10] * 3, 4, 1 << 30, 3),
        ([0] * 5, 4, 1 << 30, 1),
        ([10] * 10_000, 1000, 1 << 30, 64),
        # twelve bytes an entry, an eighth of the memory a part
        ([1000] * 1000, 2, 16 << 20, 6),
        ([1, 1, 1, 9000, 1, 1], 2, 1 << 30, 2),
    ],
)
def test_columns_are_parted_by_their_entries_and_the_memory_of_a_worker(lengths, threads, memory, parts):
    home, found = plan(types.SimpleNamespace(threads=threads, task_memory=memory), columns(lengths, 40_000))
    assert [a.stop for a in found[:-1]] == [b.start for b in found[1:]]
    assert (found[0].start, found[-1].stop, len(found)) == (0, len(lengths), parts)
    assert len(home.shards) == 10


@pytest.mark.parametrize(("lengths", "m"), [([1, 100_000, 1], 40_000_000), ([50_000] * 2, 4000)])
def test_a_column_or_a_stretch_of_rows_that_no_worker_has_memory_for_is_refused(lengths, m):
    small = types.SimpleNamespace(threads=2, task_memory=8 << 20)
    with pytest.raises(ClusterError, match=r"parts of 1,200,000 bytes do not fit the 8,388,608 bytes .*convert"):
        plan(small, columns(lengths, m))


def test_a_method_that_needs_all_entries_says_so(cluster, tmp_path):
    A = matrix(300, 300)
    path = saved(tmp_path / "A.npz", sparse.csr_array(A @ A.T))
    with pytest.raises(UsageError, match="all entries of a sparse matrix in one process"):
        api.run(Job("approx", "nystrom", Budget(rank=2)), open_on(cluster, path, None))


@pytest.mark.parametrize("lengths", [[], [0], [1, 0, 7], [5, 1000, 3], [70_000, 8]])
def test_a_checksum_is_put_together_from_those_of_the_parts(lengths):
    parts = [np.random.default_rng(i).bytes(length) for i, length in enumerate(lengths)]
    assert crc32_joined([(zlib.crc32(part), len(part)) for part in parts]) == zlib.crc32(b"".join(parts))
