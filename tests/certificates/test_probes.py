"""Bounds from Gaussian probes fail as often as they say and not more, on the residuals that are worst for them."""

from __future__ import annotations

import functools
import itertools
import math

import gallery
import numpy as np
import pytest
from certificates import coverage
from scipy.special import gammainc

import lowrank_cli
from lowrank_cli.algorithms.outcome import Status
from lowrank_cli.budget import Budget
from lowrank_cli.certificates import probes
from lowrank_cli.streams import Streams

FAST, SLOW = 3000, 20_000


@functools.cache
def squares(kind: str, dtype: str, seeds: int) -> np.ndarray:
    """|E G|_F^2 of the stored probes of many seeds, in units of the residual's own scale."""
    A, F = coverage.with_residual(coverage.RESIDUALS[kind], dtype)
    matrix = coverage.metered(A)
    return np.array([probes.store(matrix, Streams(seed)).residual_square(F) for seed in range(seeds)])


def failures(kind: str, dtype: str, seeds: int, delta: float) -> tuple[int, int]:
    """How many bounds lie below the Frobenius norm of the residual, and below its spectral norm."""
    s = coverage.RESIDUALS[kind]
    # rounding of A and F in this dtype moves the residual by a few eps of |A|
    slack = 1 - 50 * float(np.finfo(dtype).eps)
    found = squares(kind, dtype, SLOW if seeds > FAST else FAST)[:seeds]
    bounds = np.array([probes.bound(x, delta, probes.COUNT, np.dtype(dtype).kind == "c") for x in found])
    return int(np.sum(bounds < slack * np.linalg.norm(s))), int(np.sum(bounds < slack * s.max()))


# Coverage


@pytest.mark.parametrize("delta", [1e-2, 1e-3])
@pytest.mark.parametrize("dtype", ["float64", "complex128", "float32"])
@pytest.mark.parametrize("kind", coverage.RESIDUALS)
def test_bounds_fail_at_most_as_often_as_stated(kind, dtype, delta):
    frobenius, spectral = failures(kind, dtype, FAST, delta)
    assert spectral <= frobenius <= coverage.most(FAST, delta)


@pytest.mark.slow
@pytest.mark.parametrize("delta", [1e-2, 1e-3])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("kind", coverage.RESIDUALS)
def test_bounds_fail_at_most_as_often_as_stated_over_20000_seeds(kind, dtype, delta):
    frobenius, spectral = failures(kind, dtype, SLOW, delta)
    assert spectral <= frobenius <= coverage.most(SLOW, delta)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_the_bound_of_a_residual_of_rank_one_fails_no_less_often_than_stated(dtype):
    """So it is not slack that makes the tests above pass: for the worst case the constant is the best there is."""
    frobenius, spectral = failures("rank one", dtype, FAST, 1e-2)
    assert frobenius == spectral >= coverage.least(FAST, 1e-2) > 0


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("kind", coverage.RESIDUALS)
def test_the_mean_over_probes_is_the_squared_error(kind, dtype):
    s = coverage.RESIDUALS[kind]
    found = squares(kind, dtype, FAST) / probes.COUNT
    # the variance of |E g|^2 is 2 sum s^4, of complex g half of that
    spread = math.sqrt((2 if dtype == "float64" else 1) * float(np.sum(s**4)) / (probes.COUNT * FAST))
    assert abs(found.mean() - float(np.sum(s**2))) <= 5 * spread


# The constant


FACTORS = [
    (5, 1e-2, 3.00), (5, 1e-3, 4.88), (5, 1e-6, 19.7), (10, 1e-2, 1.98), (10, 1e-3, 2.60), (10, 1e-6, 5.44),
    (10, 1e-9, 11.0), (20, 1e-2, 1.56), (20, 1e-3, 1.84), (20, 1e-6, 2.80), (20, 1e-9, 4.08), (30, 1e-6, 2.20),
    (50, 1e-2, 1.30), (50, 1e-3, 1.42), (50, 1e-6, 1.78), (50, 1e-9, 2.14),
]  # fmt: skip


@pytest.mark.parametrize(("r", "delta", "factor"), FACTORS)
def test_the_bound_over_the_estimate_is_the_tabulated_factor(r, delta, factor):
    estimate = math.sqrt(7.0 / r)
    assert probes.bound(7.0, delta, r) / estimate == pytest.approx(factor, rel=5e-3)


@pytest.mark.parametrize("r", [10, 20])
@pytest.mark.parametrize("delta", [0.1, 1e-2, 1e-3, 1e-6, 1e-9, 1e-12])
@pytest.mark.parametrize("complex_", [False, True])
def test_the_quantile_has_the_probability_asked_for_by_the_poisson_sum(r, delta, complex_):
    a = r if complex_ else r // 2
    x = probes.chi_square_quantile(delta, r, complex_) / (1 if complex_ else 2)
    # P(Gamma(a) <= x) = exp(-x) sum_{j >= a} x^j / j!: no cancellation, and no special function
    below = math.exp(-x) * math.fsum(math.exp(j * math.log(x) - math.lgamma(j + 1)) for j in range(a, a + 200))
    assert below == pytest.approx(delta, rel=1e-9, abs=0)


def test_a_complex_probe_is_worth_two_real_ones():
    for delta in (0.1, 1e-2, 1e-6):
        complex_ = probes.bound(1.0, delta, 20, True) * math.sqrt(20)
        assert complex_ == pytest.approx(probes.bound(1.0, delta, 40) * math.sqrt(40), rel=1e-12)


@pytest.mark.parametrize("delta", [0.1, 0.05, 1e-2, 1e-3, 1e-6])
@pytest.mark.parametrize("freedoms", [20, 40])
def test_no_mixture_of_two_values_has_a_heavier_tail_than_rank_one(delta, freedoms):
    """P(w X + (1 - w) X' <= q) <= delta for independent chi-squares X, X', for every failure probability we accept."""
    a = freedoms / 2
    q = probes.chi_square_quantile(delta, freedoms)
    nodes, weights = np.polynomial.legendre.leggauss(200)
    for w in (0.5, 0.6, 0.8, 0.9, 0.95, 0.99, 0.999):
        # the integral over x of the density of X at x and P(X' <= (q - w x) / (1 - w))
        x = 0.5 * q / w * (nodes + 1)
        f = np.exp((a - 1) * np.log(x / 2) - x / 2 - math.lgamma(a)) / 2
        tail = float(np.sum(0.5 * q / w * weights * f * gammainc(a, (q - w * x) / (1 - w) / 2)))
        assert tail <= delta * (1 + 1e-6), w


def test_the_bound_grows_as_its_failure_probability_falls():
    bounds = [probes.bound(1.0, 10.0**-e, 20) for e in range(1, 15)]
    assert bounds == sorted(bounds) and len(set(bounds)) == 14


# The whole way: what is reported


@pytest.mark.parametrize("norm", ["fro", "spectral"])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_reported_bounds_of_an_approximation_fail_at_most_as_often_as_stated(norm, dtype):
    """The residual of rank 2 has rank one; the bound is relative, over the exact norm or a lower bound of it."""
    s = np.array([3.0, 2.0, 1.0])
    A, _ = gallery.with_spectrum(12, 9, s, seed=1, dtype=dtype)
    true = 1 / math.sqrt(14) if norm == "fro" else 1 / 3
    below, trials = 0, 1200
    for seed in range(trials):
        found = lowrank_cli.approx(
            A, rank=2, norm=norm, certify="probes", failure_probability=0.1, seed=seed, threads=1
        ).certificate
        assert (found.norm, found.kind, found.failure_probability, found.probes) == (norm, "bound", 0.1, 20)
        below += found.relative < true * (1 - 1e-12)
    assert 0 < below <= coverage.most(trials, 0.1)


@pytest.mark.parametrize("method", ["svd", "id"])
@pytest.mark.parametrize("norm", ["fro", "spectral"])
def test_a_tolerance_held_against_a_bound_is_missed_at_most_as_often_as_stated(norm, method):
    A, s = gallery.with_spectrum(30, 20, gallery.exponential(20, 1.0), seed=2)
    size = np.linalg.norm(s) if norm == "fro" else s[0]
    missed, trials, rtol = 0, 400, 0.02
    for seed in range(trials):
        done = lowrank_cli.approx(
            A, rtol=rtol, norm=norm, method=method, certify="probes", failure_probability=0.1, seed=seed, threads=1
        )
        assert done.status is Status.CONVERGED and done.certificate.relative <= rtol
        E = A - done.factor.reconstruct()
        missed += np.linalg.norm(E, "fro" if norm == "fro" else 2) > rtol * size
    assert missed <= coverage.most(trials, 0.1)


def test_probabilities_of_successive_looks_add_up_to_the_stated_one():
    from lowrank_cli.algorithms.assessment import Probed
    from lowrank_cli.algorithms.scaling import bring_to_scale

    A, F = coverage.with_residual(coverage.RESIDUALS["geometric"])
    assess = Probed(bring_to_scale(coverage.metered(A)), Budget(rank=2, failure_probability=0.01), Streams(3))
    square = assess.stored.residual_square(F)
    spent = [float(gammainc(probes.COUNT / 2, square / assess(F, None).square / 2)) for _ in range(12)]
    assert sum(spent) <= 0.01 * (1 + 1e-9)
    assert spent[0] > 0.004 and all(later < earlier for earlier, later in itertools.pairwise(spent))


def test_probes_share_no_numbers_with_sketches_and_are_drawn_once(monkeypatch):
    asked: list[str] = []
    generator = Streams.generator

    def listening(self, purpose, block=0):
        asked.append(purpose)
        return generator(self, purpose, block)

    monkeypatch.setattr(Streams, "generator", listening)
    A, _ = gallery.with_spectrum(560, 520, gallery.exponential(520, 0.05))
    for method in ("svd", "id"):
        for norm in ("fro", "spectral"):
            asked.clear()
            lowrank_cli.approx(A, method=method, rtol=0.1, norm=norm, certify="probes")
            assert asked.count("certificate") == 1 and len(set(asked)) > 1


def test_probes_cost_products_and_no_pass_and_no_look_at_the_matrix_afterwards():
    A, _ = gallery.with_spectrum(60, 50, gallery.exponential(50))
    bound = lowrank_cli.approx(A, rank=5, certify="probes").ledger
    none = lowrank_cli.approx(A, rank=5, certify="none").ledger
    exact = lowrank_cli.approx(A, rank=5).ledger
    assert bound.passes == none.passes == exact.passes - 1
    assert bound.flops - none.flops == 2 * A.size * probes.COUNT


def test_a_residual_of_zero_has_the_bound_zero():
    assert probes.bound(0.0, 1e-6, 20) == 0.0
    done = lowrank_cli.approx(np.zeros((30, 20)), rank=1, certify="probes")
    assert done.certificate.relative == done.certificate.absolute == 0.0


@pytest.mark.parametrize("norm", ["fro", "spectral"])
@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1.0, 1e200, 1e290])
def test_bounds_are_right_at_every_scale(scale, norm):
    A, s = gallery.with_spectrum(60, 50, gallery.exponential(50, 0.5), seed=4)
    found = lowrank_cli.approx(A * scale, rank=8, norm=norm, certify="probes", seed=5).certificate
    plain = lowrank_cli.approx(A, rank=8, norm=norm, certify="probes", seed=5).certificate
    assert found.relative == pytest.approx(plain.relative, rel=1e-6)
    assert found.absolute / scale == pytest.approx(plain.absolute, rel=1e-6)
    assert found.absolute / scale >= (np.linalg.norm(s[8:]) if norm == "fro" else s[8])


def test_a_bound_is_never_below_what_rounding_leaves():
    """At full rank the residual is rounding, which A G - F G sees as noise of its own: the bound allows for that."""
    for dtype in gallery.DTYPES:
        A, _ = gallery.with_spectrum(60, 50, gallery.poly(50), dtype=dtype)
        for norm in ("fro", "spectral"):
            for seed in range(20):
                done = lowrank_cli.approx(A, rank=50, norm=norm, certify="probes", seed=seed)
                E = A.astype("complex128") - done.factor.reconstruct().astype("complex128")
                true = np.linalg.norm(E, "fro" if norm == "fro" else 2)
                assert true <= done.certificate.absolute <= 200 * np.finfo(dtype).eps * np.linalg.norm(A)
