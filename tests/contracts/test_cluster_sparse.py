"""Workers of a cluster read sparse matrices by rows, and give the bits of one process."""

from __future__ import annotations

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
from lowrank_cli.errors import InputError, UsageError
from lowrank_cli.formats.clustered import open_on
from lowrank_cli.formats.opening import open_matrix
from lowrank_cli.matrices.digest import crc32_joined, digest
from lowrank_cli.matrices.spread import Spread


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


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("sparse") / "A.npz", matrix())


def both(cluster, path, item=None):
    """The matrix as workers read it, and as this process has it."""
    return (api.tiled(found, SerialEngine()) for found in (open_on(cluster, path, item), open_matrix(path, item)))


def same(one, other):
    assert one.dtype == other.dtype and np.asarray(one).tobytes() == np.asarray(other).tobytes()


KINDS = ["f4", "c16", "i2", "wide", "unsorted", "h5", "h5 gzip"]


def written(folder, kind):
    A = matrix(9000, 300, kind if kind in ("f4", "c16", "i2") else "f8", each=5)
    if kind == "wide":
        A = sparse.csr_array(A.T)
    if kind == "unsorted":
        # and the last entry of each longer line named as often as the first
        A.indices, A.data = A.indices.copy(), A.data.copy()
        for first, last in zip(A.indptr[:-1], A.indptr[1:], strict=True):
            A.indices[first:last] = A.indices[first:last][::-1]
            if last - first > 2:
                A.indices[last - 1] = A.indices[first]
    if kind.startswith("h5"):
        more = {"chunks": (1000,), "compression": "gzip"} if "gzip" in kind else {}
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


def test_entries_that_are_not_finite_are_found_with_their_place(cluster, tmp_path):
    A = matrix(9000, 60)
    A.data[[30_000, 40_001]] = np.nan, np.inf
    path = saved(tmp_path / "A.npz", A)
    said = []
    for loaded in (open_on(cluster, path, None), open_matrix(path)):
        with pytest.raises(InputError, match="2 entries are NaN") as caught:
            api.tiled(loaded, SerialEngine()).sweep()
        said.append(caught.value.what)
    assert said[0] == said[1]


def test_an_index_out_of_range_is_found_by_the_worker_that_reads_it(cluster, tmp_path):
    A = matrix(9000, 60)
    A.indices[70_000] = 60
    with pytest.raises(InputError, match="outside 0 to 59"):
        api.tiled(open_on(cluster, saved(tmp_path / "A.npz", A), None), SerialEngine())


def test_what_workers_cannot_read_by_rows_is_refused_with_what_makes_it_so(cluster, tmp_path):
    A = matrix(300, 60)
    sparse.save_npz(tmp_path / "packed.npz", A)
    saved(tmp_path / "columns.npz", sparse.csc_array(A))
    grouped(tmp_path / "columns.h5", sparse.csc_array(A))
    for name in ("packed.npz", "columns.npz", "columns.h5"):
        with pytest.raises(UsageError, match=r"sparse ones by rows .*lowrank convert"):
            open_on(cluster, str(tmp_path / name), None)


def test_a_method_that_needs_all_entries_says_so(cluster, tmp_path):
    A = matrix(300, 300)
    path = saved(tmp_path / "A.npz", sparse.csr_array(A @ A.T))
    with pytest.raises(UsageError, match="all entries of a sparse matrix in one process"):
        api.run(Job("approx", "nystrom", Budget(rank=2)), open_on(cluster, path, None))


@pytest.mark.parametrize("lengths", [[], [0], [1, 0, 7], [5, 1000, 3], [70_000, 8]])
def test_a_checksum_is_put_together_from_those_of_the_parts(lengths):
    parts = [np.random.default_rng(i).bytes(length) for i, length in enumerate(lengths)]
    assert crc32_joined([(zlib.crc32(part), len(part)) for part in parts]) == zlib.crc32(b"".join(parts))
