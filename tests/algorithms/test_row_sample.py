"""A sample of the rows: one pass where they tell enough, and no direction lost that they did not hold."""

from __future__ import annotations

import gallery
import measure
import numpy as np
import pytest
from counted import Counted

from lowrank_cli.algorithms import TABLE, few_passes, row_sample
from lowrank_cli.budget import Budget
from lowrank_cli.engines.threads import ThreadEngine
from lowrank_cli.errors import InputError
from lowrank_cli.matrices.dense import TiledMatrix
from lowrank_cli.matrices.filed import Filed
from lowrank_cli.matrices.metered import Metered
from lowrank_cli.streams import Streams

M, N, K = 6000, 160, 5
RNG = np.random.default_rng(0)
SIGNAL = RNG.standard_normal((M, K)) @ (np.linalg.qr(RNG.standard_normal((N, K)))[0] * np.linspace(9, 3, K)).T
A = SIGNAL + 0.1 * RNG.standard_normal((M, N))
S = np.linalg.svd(A, compute_uv=False)


@pytest.fixture(autouse=True)
def large(monkeypatch):
    """Matrices of this size are read in few passes, and a tenth of their rows beforehand."""
    monkeypatch.setattr(few_passes, "LARGE", 1)
    monkeypatch.setattr(row_sample, "SHARE", 10)


def run(A, seed=0, engine=None, rank=K, **asked):
    how = TABLE["svd"].load()
    counted = Counted(A if hasattr(A, "matmat") else TiledMatrix(A, engine))
    budget = how.settled(Budget(rank=rank, **asked), once=False)
    return how.run(Metered(counted), budget, how.options(), Streams(seed)), counted


@pytest.mark.parametrize("upright", [True, False])
def test_one_pass_is_as_good_as_many_where_rows_are_alike(upright):
    B = A if upright else np.ascontiguousarray(A.T)
    outcome, counted = run(B)
    assert outcome.ledger.passes == 1 and len(counted.reads) == 1
    true = measure.residual(B, outcome.factor)
    assert true <= measure.best(S, K) * (1 + 1e-5)
    assert outcome.certificate.kind == "exact"
    assert outcome.certificate.relative == pytest.approx(true / np.linalg.norm(A), rel=1e-9)
    for Q in (outcome.factor.U, outcome.factor.Vh.conj().T):
        assert np.abs(Q.T @ Q - np.eye(K)).max() <= 100 * measure.eps(A)


@pytest.mark.parametrize("spectrum", ["exponential", "a gap"])
def test_one_pass_is_enough_where_singular_values_fall(spectrum):
    values = gallery.exponential(N, 0.1) if spectrum == "exponential" else np.r_[np.ones(20), np.full(N - 20, 1e-2)]
    B, s = gallery.with_spectrum(M, N, values)
    outcome, _ = run(B, rank=20)
    assert outcome.ledger.passes == 1
    assert measure.residual(B, outcome.factor) <= measure.best(s, 20) * (1 + 1e-5)


def test_a_spectrum_without_a_gap_is_read_again():
    B, s = gallery.with_spectrum(M, N, gallery.inverse_sqrt(N))
    outcome, _ = run(B)
    assert outcome.ledger.passes >= 2
    assert measure.residual(B, outcome.factor) <= measure.best(s, K) * (1 + 1e-5)


def unsampled():
    """A row in the middle of those that lie between two runs of the sample."""
    length = M // 10 // row_sample.RUNS
    starts = np.linspace(0, M - length, row_sample.RUNS).astype(int)
    return (starts[3] + length + starts[4]) // 2


@pytest.mark.parametrize("rows", [1, 40])
@pytest.mark.parametrize("size", [0.5, 1.5, 4.0, 40.0])
@pytest.mark.parametrize("seed", range(5))
def test_rows_that_were_not_in_the_sample_are_found_by_the_pass(rows, size, seed):
    """size: of their singular value over that of the last one wanted. Without them one pass is enough."""
    rng = np.random.default_rng(seed)
    event = np.outer(rng.standard_normal(rows), rng.standard_normal(N))
    B = A.copy()
    B[unsampled() : unsampled() + rows] += event * (size * S[K - 1] / np.linalg.norm(event))
    outcome, _ = run(B, seed)
    assert outcome.ledger.passes == (1 if size < 1 else 2)
    assert measure.residual(B, outcome.factor) <= measure.best(np.linalg.svd(B, compute_uv=False), K) * (1 + 2e-5)


@pytest.mark.slow
def test_a_row_that_was_not_in_the_sample_is_lost_in_none_of_a_thousand_runs():
    """An excess above 1e-4 with probability 1e-3 would show with probability 0.63."""
    rng = np.random.default_rng(1)
    gram = A.T @ A
    for seed in range(1000):
        row = unsampled() + seed % 9 - 4
        spike = rng.standard_normal(N)
        spike *= rng.uniform(0.9, 3) * S[K - 1] / np.linalg.norm(spike)
        B = A.copy()
        B[row] += spike
        squares = np.linalg.eigvalsh(gram + np.outer(A[row], spike) + np.outer(spike, B[row]))
        outcome, _ = run(B, seed)
        assert measure.residual(B, outcome.factor) <= np.sqrt(squares[:-K].sum()) * (1 + 1e-4)


def test_sorted_rows_promise_nothing():
    B = np.sort(SIGNAL, axis=0) + 0.1 * RNG.standard_normal((M, N))
    outcome, _ = run(B)
    assert measure.residual(B, outcome.factor) <= measure.best(np.linalg.svd(B, compute_uv=False), K) * 1.001


@pytest.mark.parametrize("exponent", [-900, -60, 60, 900])
def test_the_scale_changes_nothing_but_the_number_of_passes(exponent):
    outcome, _ = run(A * 2.0**exponent)
    assert outcome.ledger.passes <= 2
    assert outcome.certificate.relative <= measure.best(S, K) / np.linalg.norm(S) * (1 + 1e-5)


@pytest.mark.parametrize("dtype", ["float32", "complex64", "complex128"])
def test_other_types_of_numbers(dtype):
    B = (A * (1 + 1j)).astype(dtype) if dtype.startswith("c") else A.astype(dtype)
    outcome, _ = run(B)
    # single precision hides the error in rounding of the squares: a second reading measures it
    assert outcome.ledger.passes == (1 if dtype == "complex128" else 2)
    assert measure.residual(B.astype(np.complex128), outcome.factor) <= (
        measure.best(S, K) * np.linalg.norm(B[0]) / np.linalg.norm(A[0]) * (1 + 1e-4)
    )


def test_what_is_not_finite_is_refused_by_name_whether_it_is_in_the_sample_or_not():
    for row in (0, unsampled()):
        B = A.copy()
        B[row, 7] = np.inf
        with pytest.raises(InputError, match=f"row {row}, column 7"):
            run(B)


def test_no_bit_depends_on_storage_or_threads_and_nothing_is_read_beside_the_pass():
    def filed(by_rows, buffer):
        def read(rows, cols, out):
            out[...] = A[rows, cols]

        return Filed(A.shape, A.dtype, by_rows, read, lambda: None, buffer)

    first = run(A)[0]
    sources = [filed(True, 2_000_000), filed(False, 8_000_000)]
    others = [TiledMatrix(np.asfortranarray(A), ThreadEngine(2))]
    for other in others + [TiledMatrix(source, ThreadEngine(3)) for source in sources]:
        outcome = run(other)[0]
        for name, array in first.factor.arrays().items():
            assert outcome.factor.arrays()[name].tobytes() == array.tobytes()
        assert outcome.certificate == first.certificate and outcome.ledger == first.ledger
    for source in sources:
        assert source.fetches == 0 and source.bytes_read <= A.nbytes * (1 + 1 / row_sample.SHARE)


def test_a_sample_holds_so_many_bytes_and_no_more(monkeypatch):
    read = []

    class Seen(TiledMatrix):
        def block(self, rows, cols):
            read.append(rows.stop - rows.start)
            return super().block(rows, cols)

    row_sample.taken(Metered(Seen(A)), K, 32, Streams(0))
    assert len(read) == row_sample.RUNS and sum(read) <= M // 10
    read.clear()
    monkeypatch.setattr(row_sample, "BYTES", 4 * N * 450)
    assert row_sample.taken(Metered(Seen(A)), K, 32, Streams(0)).V.shape == (N, 32) and 440 <= sum(read) <= 450
    read.clear()
    monkeypatch.setattr(row_sample, "BYTES", 4 * N * 350)
    # too few to tell 32 directions and 16 more apart: only the size of entries
    assert row_sample.taken(Metered(Seen(A)), K, 32, Streams(0)).V is None and sum(read) == 2 * row_sample.RUNS
