"""Nystrom approximation: the law of the pivots, a semidefinite error with an exact trace, and what is refused."""

from __future__ import annotations

import functools
import math

import gallery
import measure
import numpy as np
import pytest
from scipy.sparse import csr_array, diags_array

import lowrank_cli
from lowrank_cli.algorithms.nystrom import NystromOptions
from lowrank_cli.algorithms.nystrom_sources import nystrom
from lowrank_cli.algorithms.rpcholesky import PivotedCholesky
from lowrank_cli.algorithms.scaling import bring_to_scale
from lowrank_cli.errors import UsageError
from lowrank_cli.matrices.dense import TiledMatrix
from lowrank_cli.matrices.metered import Metered
from lowrank_cli.streams import Streams

PIVOTS = ("sketch", "columns")


def approximated(A, pivots="sketch", **asked):
    return lowrank_cli.approx(A, method="nystrom", options=NystromOptions(pivots=pivots), **asked)


@functools.cache
def specimen(n, spectrum="1/i", dtype="float64", seed=7) -> tuple[np.ndarray, np.ndarray]:
    """A semidefinite matrix with these eigenvalues, symmetric to the last bit."""
    values = {"1/i": gallery.poly(n), "1/i^2": gallery.poly(n, 2.0), "exp": gallery.exponential(n, 0.1)}[spectrum]
    Q = gallery.orthonormal(n, n, np.random.default_rng(seed), complex_=np.dtype(dtype).kind == "c")
    A = (Q * values) @ Q.conj().T
    return (0.5 * (A + A.conj().T)).astype(dtype), values


def grower(A, seed=0) -> PivotedCholesky:
    return PivotedCholesky(Metered(TiledMatrix(A)), Streams(seed))


def left_of(A, F) -> np.ndarray:
    return measure.dense(A) - F @ F.conj().T


# The law of the pivots


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_one_step_leaves_a_minus_a_squared_over_its_trace_in_the_mean(dtype):
    """Enumerated over all pivots: sum_i (a_ii / tr A) (A - f_i f_i^H) = A - A^2 / tr A."""
    A, _ = specimen(12, dtype=dtype)
    mean = np.zeros_like(A)
    for i in range(12):
        one = grower(A)
        one._take(np.array([i]), np.sqrt(A[i : i + 1, i : i + 1]))
        mean += A[i, i] / np.trace(A) * left_of(A, one.F.dense())
    np.testing.assert_allclose(mean, A - A @ A / np.trace(A), atol=1e-14)


def test_a_proposal_is_taken_with_the_share_of_its_diagonal_that_the_ones_before_left():
    """What makes drawing many at once the same as one at a time: for every pair, to the threshold."""
    A, _ = specimen(8)
    one = grower(A)
    for i in range(8):
        for j in set(range(8)) - {i}:
            share = (A[j, j] - A[i, j] ** 2 / A[i, i]) / A[j, j]
            for u, taken in ((share - 1e-12, 2), (share + 1e-12, 1)):
                assert len(one._accepted((np.array([i, j]), np.array([0.5, u])), 8)[0]) == taken
        assert len(one._accepted((np.array([i, i]), np.array([0.5, 0.0])), 8)[0]) == 1


def test_pairs_of_pivots_come_as_often_as_drawing_one_at_a_time_says():
    """Chi-square over the 12 ordered pairs of a 4 x 4 matrix, 500 seeds; a right law fails once in a million."""
    from scipy.stats import chi2

    A, _ = specimen(4, "1/i^2", seed=1)
    seeds, expected, counts = 500, np.zeros((4, 4)), np.zeros((4, 4))
    for i in range(4):
        rest = A - np.outer(A[:, i], A[i]) / A[i, i]
        expected[i] = A[i, i] / np.trace(A) * np.maximum(np.diag(rest), 0) / np.trace(rest)
        expected[i, i] = 0
    for seed in range(seeds):
        one = grower(A, seed)
        one.grow(2, exactly=True)
        counts[tuple(one.pivots)] += 1
    off = ~np.eye(4, dtype=bool)
    assert np.all(seeds * expected[off] >= 4)
    statistic = np.sum(np.square(counts - seeds * expected)[off] / (seeds * expected[off]))
    assert counts.trace() == 0 and statistic <= chi2.isf(1e-6, 11)


def test_the_mean_trace_of_the_error_keeps_the_bound_for_its_number_of_columns():
    """k = r / eps + r log(1 / (eps eta)) columns: the mean over 40 seeds, whose spread is a few percent of it."""
    A, values = specimen(120, "1/i^2")
    for r, eps in ((2, 0.5), (4, 1.0)):
        tail = float(values[r:].sum())
        k = math.ceil(r / eps + r * math.log(values.sum() / (eps * tail)))
        traces = [approximated(A, "columns", rank=k, seed=seed).facts["trace_error_relative"] for seed in range(40)]
        assert np.mean(traces) * values.sum() <= (1 + eps) * tail


def test_the_columns_of_a_smaller_rank_are_the_first_of_a_larger():
    A, _ = specimen(90)
    longest = approximated(A, "columns", rank=60).factor
    for k in (1, 7, 32, 45):
        factor = approximated(A, "columns", rank=k).factor
        assert np.array_equal(factor.cols, longest.cols[:k])
        np.testing.assert_allclose(factor.F, longest.F[:, :k], atol=1e-13)
    assert np.array_equal(
        approximated(A, "columns", rtol=0.2).factor.cols,
        longest.cols[: len(approximated(A, "columns", rtol=0.2).factor.cols)],
    )


# The error


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("n", [70, 520])
@pytest.mark.parametrize("pivots", PIVOTS)
def test_the_error_is_semidefinite_and_its_trace_the_reported_one(pivots, n, dtype):
    A, values = specimen(n, dtype=dtype)
    outcome = approximated(A, pivots, rank=20)
    left = measure.dense(measure.wide(A) - measure.product(outcome.factor))
    noise = 40 * measure.eps(A)
    assert outcome.facts["trace_error_relative"] == pytest.approx(np.trace(left).real / values.sum(), abs=noise)
    wide = left.astype("complex128" if A.dtype.kind == "c" else "float64")
    found = np.linalg.eigvalsh(wide)
    assert found[0] >= -noise and outcome.certificate.absolute == pytest.approx(np.linalg.norm(wide), rel=1e-5)
    # of a semidefinite error the nuclear norm is the trace, and no norm is larger
    assert np.abs(found).sum() == pytest.approx(found.sum(), abs=n * noise)
    assert outcome.certificate.absolute <= outcome.facts["trace_error_relative"] * values.sum() * (1 + 1e-5) + n * noise


@pytest.mark.parametrize("n", [70, 520])
@pytest.mark.parametrize("spectrum", ["1/i", "1/i^2", "exp"])
def test_a_sketch_gives_the_error_of_the_best_within_a_percent(spectrum, n):
    A, values = specimen(n, spectrum)
    for k in (5, 30):
        outcome = approximated(A, rank=k)
        assert (1 - 1e-10) * measure.best(values, k) <= outcome.certificate.absolute <= 1.01 * measure.best(values, k)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_nystrom_is_never_worse_than_the_projection_on_the_same_directions(dtype):
    """A - F F^H is below (I - Q Q^H) A (I - Q Q^H) in the order of semidefinite matrices, for any Q."""
    A, _ = specimen(60, dtype=dtype)
    Q = gallery.orthonormal(60, 9, np.random.default_rng(3), complex_=dtype == "complex128")
    matrix = Metered(TiledMatrix(A))
    F = nystrom(np.ascontiguousarray(Q), matrix, bring_to_scale(matrix))
    P = np.eye(60) - Q @ Q.conj().T
    difference = P @ A @ P - left_of(A, F)
    assert np.linalg.eigvalsh(difference)[0] >= -1e-13
    assert np.linalg.norm(left_of(A, F)) <= np.linalg.norm(P @ A)
    # and it is the formula itself
    Z = A @ Q
    np.testing.assert_allclose(F @ F.conj().T, Z @ np.linalg.inv(Q.conj().T @ Z) @ Z.conj().T, atol=1e-13)
    lengths = np.linalg.norm(F, axis=0)
    assert np.all(np.diff(lengths) <= 1e-14) and np.abs(F.conj().T @ F - np.diag(lengths**2)).max() <= 1e-13


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("n", [50, 520])
@pytest.mark.parametrize("pivots", PIVOTS)
def test_a_matrix_of_exact_rank_is_reproduced_to_rounding(pivots, n, dtype):
    rng = np.random.default_rng(2)
    X = rng.standard_normal((n, 6)) + (1j * rng.standard_normal((n, 6)) if "complex" in dtype else 0)
    A = (X @ X.conj().T).astype(dtype)
    A = np.tril(A) + np.tril(A, -1).conj().T
    for asked in ({"rank": 6}, {"rank": 15}, {"rtol": 1e-3}):
        outcome = approximated(A, pivots, **asked)
        assert outcome.certificate.relative <= 200 * measure.eps(A) * math.sqrt(n)
        assert outcome.bound_met and outcome.factor.rank <= asked.get("rank", 6)


@pytest.mark.parametrize("n", [60, 520])
def test_chosen_columns_are_interpolated(n):
    A, _ = specimen(n)
    factor = approximated(A, "columns", rank=25).factor
    assert len(set(factor.cols.tolist())) == 25
    assert np.abs(left_of(A, factor.F)[:, factor.cols]).max() <= 1e-13


@pytest.mark.parametrize("certify", ["exact", "probes"])
@pytest.mark.parametrize("norm", ["fro", "spectral"])
@pytest.mark.parametrize("pivots", PIVOTS)
@pytest.mark.parametrize("n", [70, 520])
def test_tolerances_hold_in_either_norm_by_either_way_of_knowing(n, pivots, norm, certify):
    A, values = specimen(n, "exp")
    outcome = approximated(A, pivots, rtol=0.05, norm=norm, certify=certify)
    left, order = left_of(A, outcome.factor.F), None if norm == "fro" else 2
    assert outcome.bound_met and np.linalg.norm(left, order) <= 0.05 * np.linalg.norm(A, order)
    if (norm, certify, pivots) == ("fro", "exact", "sketch"):
        assert outcome.factor.rank <= measure.smallest_rank(values, 0.05) + 1


def test_columns_say_what_ended_their_growth():
    A, _ = specimen(70, "exp")
    assert approximated(A, "columns", rtol=0.05).facts["stopped_by"] in ("probes", "trace")
    capped = approximated(A, "columns", rtol=1e-6, rank=5)
    assert capped.facts["stopped_by"] == "rank" and capped.status.value == "rank_reached"
    assert "stopped_by" not in approximated(A, "columns", rank=5).facts


@pytest.mark.parametrize("pivots", PIVOTS)
def test_a_sparse_matrix_gives_what_the_dense_one_gives(pivots):
    A = diags_array([np.linspace(1, 3, 600), np.full(599, 0.4)], offsets=[0, 1]).toarray()
    A = A @ A.T
    one, other = approximated(A, pivots, rank=40), approximated(csr_array(A), pivots, rank=40)
    assert other.certificate.relative == pytest.approx(one.certificate.relative, rel=1e-6)
    assert other.facts["trace_error_relative"] == pytest.approx(one.facts["trace_error_relative"], rel=1e-6)


# Scale, shapes, refusals


@pytest.mark.parametrize("exponent", [-900, -301, 17, 300, 900])
@pytest.mark.parametrize("n", [40, 520])
@pytest.mark.parametrize("pivots", PIVOTS)
def test_a_power_of_four_changes_nothing_but_the_scale_of_f_and_of_two_no_more_than_rounding(pivots, n, exponent):
    A, _ = specimen(n)
    one, other = approximated(A, pivots, rank=9), approximated(np.ldexp(A, exponent), pivots, rank=9)
    if exponent % 2 == 0:
        assert np.array_equal(np.ldexp(one.factor.F, exponent // 2), other.factor.F)
    scaled = np.ldexp(other.factor.F / math.sqrt(2.0 ** (exponent % 2)), -(exponent // 2))
    np.testing.assert_allclose(np.abs(scaled), np.abs(one.factor.F), atol=1e-10)
    assert one.certificate.relative == pytest.approx(other.certificate.relative, rel=1e-9)


@pytest.mark.parametrize("n", [1, 20, 520])
@pytest.mark.parametrize("pivots", PIVOTS)
def test_zero_and_one_by_one(pivots, n):
    outcome = approximated(np.zeros((n, n)), pivots, rank=1)
    assert outcome.certificate.absolute == 0.0 == outcome.facts["trace_error_relative"]
    assert outcome.factor.rank == 1 and not outcome.factor.F.any()
    if n == 1:
        assert approximated(np.array([[4.0]]), pivots).factor.F == pytest.approx(2.0)


@pytest.mark.parametrize("n", [40, 520])
@pytest.mark.parametrize("pivots", PIVOTS)
def test_matrices_that_are_not_semidefinite_are_refused_with_where_and_how_much(pivots, n):
    A, _ = specimen(n)
    crooked = A.copy()
    crooked[7, 3] += 0.25 * np.abs(A).max()
    cases = [(A[:, :-1], [f"{n}x{n - 1}"]), (crooked, ["not symmetric", "row 3, column 7", "0.25"])]
    cases += [(csr_array(crooked), ["not symmetric", "row 3, column 7", "0.25"])]
    cases += [(A - 0.5 * np.eye(n), ["not positive semidefinite"]), (-A, ["not positive semidefinite"])]
    cases += [(1j * A, ["not symmetric"])]
    for wrong, words in cases:
        with pytest.raises(UsageError) as said:
            approximated(wrong, pivots, rank=n // 2)
        assert all(word in str(said.value) for word in words) and "svd" in str(said.value)


def test_one_negative_eigenvalue_is_named_with_its_share():
    A, _ = specimen(40)
    w, V = np.linalg.eigh(A)
    w[0] = -0.01
    with pytest.raises(UsageError, match=r"eigenvalue of -0\.01 of"):
        approximated((V * w) @ V.T, rank=3)


def test_rounding_is_not_refused():
    """Gram matrices as they come, not symmetrized: single precision, and eigenvalues that rounding made negative."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((520, 30)).astype("float32")
    A = X @ X.T
    A[3, 5] *= 1 + 1e-6
    assert np.linalg.eigvalsh(A)[0] < 0
    for pivots in PIVOTS:
        assert approximated(A, pivots, rank=30).certificate.relative <= 1e-5
        assert approximated(A, pivots, rank=100).certificate.relative <= 1e-5


def test_a_rank_above_the_size_is_refused():
    with pytest.raises(UsageError, match="21"):
        approximated(np.eye(20), rank=21)


@pytest.mark.parametrize("pivots", PIVOTS)
def test_passes_are_those_announced(pivots):
    """A sweep, the mirror image and the error; a sketch of a small matrix reads it whole besides."""
    A, _ = specimen(70)
    assert approximated(A, pivots, rank=9).ledger.passes == (4 if pivots == "sketch" else 3)
    assert approximated(A, pivots, rank=9, certify="none").ledger.passes == (3 if pivots == "sketch" else 2)
    assert approximated(A, "columns", rank=60, certify="none").ledger.flops >= 60**2 * 70


def test_a_real_stiffness_matrix_is_approximated_near_the_best_by_a_sketch_and_within_the_bound_by_columns(data):
    """Columns of a network of 1138 buses say little of one another: the bound of the mean trace, best over r."""
    from lowrank_cli.formats.opening import open_matrix

    path = str(data("1138_bus.mtx"))
    values = np.linalg.svd(measure.dense(open_matrix(path).array), compute_uv=False)
    assert approximated(path, rank=60).certificate.absolute <= 1.01 * measure.best(values, 60)
    outcome, tails = approximated(path, "columns", rank=60), values.sum() - np.cumsum(values)
    bounds = []
    for r in range(1, 60):
        eta = tails[r - 1] / values.sum()
        for eps in np.geomspace(0.01, 1 / eta, 200):
            if r / eps + r * max(0.0, math.log(1 / (eps * eta))) <= 60:
                bounds.append((1 + eps) * tails[r - 1])
                break
    trace = outcome.facts["trace_error_relative"] * values.sum()
    assert outcome.certificate.absolute <= trace <= min(bounds)
