"""The workers of a cluster give the bits of one process: every method that runs there, from every file they read."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from contracts.clusters import assert_same_as_one_process

from lowrank_cli import api
from lowrank_cli.algorithms import few_passes, row_sample
from lowrank_cli.algorithms.cur import CUROptions
from lowrank_cli.algorithms.interpolative import IDOptions
from lowrank_cli.algorithms.svd import SVDOptions
from lowrank_cli.analysis.spectrum import spectrum
from lowrank_cli.api import Job
from lowrank_cli.budget import Budget
from lowrank_cli.engines.threads import SerialEngine
from lowrank_cli.errors import InputError, UsageError
from lowrank_cli.formats.clustered import open_on
from lowrank_cli.formats.opening import open_matrix
from lowrank_cli.matrices import spread
from lowrank_cli.matrices.spread import Spread
from lowrank_cli.sketches.counting import count_sketch
from lowrank_cli.streams import Streams


def matrix(m=5000, n=600, dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    left, right = rng.standard_normal((m, 40)), rng.standard_normal((40, n))
    made = (left * 0.8 ** np.arange(40)) @ right + 1e-3 * rng.standard_normal((m, n))
    return (made * (1 + 0.5j) if np.dtype(dtype).kind == "c" else made).astype(dtype)


@pytest.fixture(scope="module")
def tall(tmp_path_factory):
    path = tmp_path_factory.mktemp("cluster") / "A.npy"
    np.save(path, matrix())
    return str(path)


@pytest.mark.parametrize(
    ("method", "budget", "options"),
    [
        ("svd", Budget(rank=6), None),
        ("svd", Budget(rtol=1e-2), None),
        ("svd", Budget(rank=4, certify="probes"), SVDOptions(residual=1e-6)),
        ("svd", Budget(rank=6, passes=3), None),
        ("qb", Budget(rank=6), None),
        ("id", Budget(rank=5), None),
        ("id", Budget(rank=5), IDOptions(axis="rows")),
        ("cur", Budget(rank=5), CUROptions(select="leverage")),
    ],
)
def test_methods_give_the_bits_of_one_process(cluster, tall, method, budget, options):
    assert_same_as_one_process(cluster, tall, Job("approx", method, budget, options))


def test_one_pass_after_a_sample_of_the_rows_gives_the_bits_of_one_process(cluster, tall, monkeypatch):
    monkeypatch.setattr(few_passes, "LARGE", 1)
    monkeypatch.setattr(row_sample, "SHARE", 8)
    job = Job("approx", "svd", Budget(rank=6))
    assert_same_as_one_process(cluster, tall, job)
    assert api.run(job, open_on(cluster, tall, None))[0].ledger.passes == 1


def test_the_left_factor_of_an_svd_stays_with_the_workers(cluster, tall):
    before = cluster.gathered
    outcome = api.run(Job("approx", "svd", Budget(rank=6)), open_on(cluster, tall, None))[0]
    assert isinstance(outcome.factor.U, Spread)
    # sums of n x l and l x l arrays came here, of the 5000 rows not one
    assert cluster.gathered - before < 20 * 600 * 64 * 8


@pytest.mark.parametrize("name", ["normal_matmat", "adjoint_normal_matmat"])
def test_passes_together_read_each_shard_once_and_give_the_bits_of_each_alone(cluster, tall, tmp_path, name):
    A = api.tiled(open_on(cluster, tall, None), SerialEngine())
    reads, inner = tmp_path / "reads", A._read

    def counted(rows):
        with open(reads, "a") as file:
            file.write(f"{rows.start}\n")
        return inner(rows)

    A._read = counted
    low = A.single(3)
    X = np.random.default_rng(0).standard_normal((A.shape[0 if name.startswith("adjoint") else 1], 7)).astype("float32")
    G = np.random.default_rng(1).standard_normal((A.shape[1], 3))
    asks = [(A, "sweep", False), (low, name, X, False), (A, "matmat", G)]
    tasks = cluster.tasks
    facts, pair, product = A.together(asks)
    shards = len(A.home.shards)
    # the second product of a wide matrix needs all of the first
    assert len(reads.read_text().split()) == shards * (2 if name.startswith("adjoint") else 1)
    assert cluster.tasks - tasks < 9 * shards + 12
    alone = A.sweep(), getattr(low, name)(X), A.matmat(G)
    assert (facts.max_abs, facts.exponent) == (alone[0].max_abs, alone[0].exponent)
    assert np.array_equal(facts.column_squares, alone[0].column_squares)
    assert all(np.array_equal(one, other) for one, other in zip(pair, alone[1], strict=True))
    assert np.array_equal(product, alone[2])


@pytest.mark.parametrize("transposed", [False, True])
def test_a_survey_reads_each_shard_once_and_gives_the_bits_of_one_process(cluster, tall, transposed):
    there, here = api.tiled(open_on(cluster, tall, None), SerialEngine()), api.tiled(open_matrix(tall), SerialEngine())
    S = count_sketch(Streams(0), "s", here.shape[1 if transposed else 0])
    assert len(there.home.shards) > 1
    (facts, sums), (expected, known) = there.survey(S, transposed), here.survey(S, transposed)
    assert np.array_equal(facts.column_squares, expected.column_squares) and facts.max_abs == expected.max_abs
    assert np.array_equal(sums, known)


def test_a_survey_on_workers_names_the_place_of_what_is_not_finite(cluster, tmp_path):
    A = matrix()
    A[4900, 3] = np.nan
    np.save(tmp_path / "A.npy", A)
    there = api.tiled(open_on(cluster, str(tmp_path / "A.npy"), None), SerialEngine())
    for transposed in (False, True):
        with pytest.raises(InputError, match="row 4900, column 3"):
            there.survey(count_sketch(Streams(0), "s", A.shape[1 if transposed else 0]), transposed)


def test_a_spectrum_has_the_values_of_one_process(cluster, tall):
    assert spectrum(open_on(cluster, tall, None), k=5) == spectrum(open_matrix(tall), k=5)


@pytest.mark.parametrize("kind", ["fortran float32", "wide", "complex h5", "raw int16", "very tall"])
def test_files_of_every_kind_are_read_by_the_workers(cluster, tmp_path, kind):
    path, item = str(tmp_path / "A.npy"), None
    if kind == "fortran float32":
        np.save(path, np.asfortranarray(matrix(dtype="float32")))
    elif kind == "wide":
        np.save(path, np.ascontiguousarray(matrix(5000, 600).T))
    elif kind == "complex h5":
        path = str(tmp_path / "A.h5")
        with h5py.File(path, "w") as file:
            file.create_dataset("X", data=matrix(4500, 550, "complex64"), chunks=(100, 70), compression="gzip")
            file.create_dataset("other", data=np.ones((2, 2)))
        item = "X"
    elif kind == "raw int16":
        A = np.round(100 * matrix(4200, 700)).astype("<i2")
        A.tofile(path)
        item = "4200x700:int16"
    else:
        np.save(path, matrix(9000, 80))
    assert_same_as_one_process(cluster, path, Job("approx", "svd", Budget(rank=4)), item)


def test_the_size_of_shards_changes_no_bit(cluster, tall, monkeypatch):
    monkeypatch.setattr(spread, "SHARE", cluster.task_memory // (600 * 512 * 8 * 4))
    loaded = open_on(cluster, tall, None)
    assert len(api.tiled(loaded, api.tiled(open_matrix(tall), None).engine).home.shards) == 10
    assert_same_as_one_process(cluster, tall, Job("approx", "svd", Budget(rank=6)))


def test_entries_that_are_not_finite_are_found_with_their_place(cluster, tmp_path):
    A = matrix(4500, 30)
    A[4321, 7] = np.nan
    np.save(tmp_path / "A.npy", A)
    with pytest.raises(InputError, match="row 4321, column 7"):
        api.run(Job("approx", "svd", Budget(rank=2)), open_on(cluster, str(tmp_path / "A.npy"), None))


@pytest.mark.parametrize("name", ["A.csv", "A.mtx", "-"])
def test_what_workers_cannot_read_in_parts_is_refused(cluster, tmp_path, name):
    (tmp_path / "A.csv").write_text("1,2\n3,4\n")
    (tmp_path / "A.mtx").write_text("%%MatrixMarket matrix coordinate real general\n2 2 1\n1 1 5.0\n")
    with pytest.raises(UsageError, match="--engine dask reads"):
        open_on(cluster, name if name == "-" else str(tmp_path / name), None)


def test_arrays_from_the_network_are_placed_where_they_may_be_multiplied():
    raw = np.frombuffer(bytes(8 * 12 + 3), np.uint8)[3 : 3 + 8 * 12].view(np.float64)
    assert not raw.flags.aligned or not raw.flags.writeable
    placed = spread.placed(raw)
    assert placed.flags.aligned and placed.flags.writeable and np.array_equal(placed, raw)
