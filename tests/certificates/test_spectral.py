"""The interval for a spectral norm: its lower end always holds, its upper end but for the stated probability. Both ends
are compared up to rounding of the norm itself."""

from __future__ import annotations

import functools
import itertools
import math

import gallery
import numpy as np
import pytest
from certificates import coverage
from scipy.sparse import csr_array, random_array

from lowrank_cli.algorithms import spectral_interval
from lowrank_cli.algorithms.assessment import Spectral
from lowrank_cli.algorithms.scaling import bring_to_scale
from lowrank_cli.budget import Budget
from lowrank_cli.certificates import spectral
from lowrank_cli.factors.svd import SVD
from lowrank_cli.streams import Streams


def interval(A, seed: int, delta: float = 1e-6, factor=None, threads: int = 1, starts: int = spectral.STARTS):
    """(lower, upper) for |A|_2, or |A - F|_2."""
    matrix = coverage.metered(A, threads)
    frobenius = matrix.sweep().norm
    return spectral_interval.interval(matrix, factor, Streams(seed).within("test"), delta, frobenius, starts)


def chebyshev(n: int, gap: float) -> np.ndarray:
    """One value 1 and the others where a Krylov polynomial can suppress them least: squares like Chebyshev points."""
    others = (1 - gap) * (1 + np.cos(np.pi * np.arange(n - 1) / (n - 2))) / 2
    return np.sqrt(np.append(1.0, others))


def tail(n: int) -> np.ndarray:
    return 0.9 * gallery.poly(n)


#: Tops that are hard to tell apart, and bottoms of every kind.
SPECTRA = {
    "200 within 1e-3, one above": lambda n: np.append(1.001, np.append(np.linspace(1, 0.999, 200), tail(n))[: n - 1]),
    "all within 1e-3": lambda n: np.linspace(1.0, 0.999, n),
    "one 5 % above a plateau": lambda n: np.append(1.05, np.ones(n - 1)),
    "chebyshev 0.1": lambda n: chebyshev(n, 0.1),
    "chebyshev 0.02": lambda n: chebyshev(n, 0.02),
    "flat": gallery.flat,
    "1/i": gallery.poly,
    "i^-1/2": gallery.inverse_sqrt,
    "exp(-i/10)": gallery.exponential,
    "rank 1": lambda n: gallery.poly(1),
    "rank 7": lambda n: gallery.poly(7),
    "rank 40": lambda n: gallery.poly(40),
}  # fmt: skip


@functools.cache
def specimen(name: str, m: int = 420, n: int = 400, dtype: str = "float64") -> tuple[np.ndarray, np.ndarray]:
    return gallery.with_spectrum(m, n, SPECTRA[name](min(m, n)), seed=9, dtype=dtype)


# Both ends hold


@pytest.mark.parametrize("shape", [(420, 400), (400, 640), (900, 350)])
@pytest.mark.parametrize("name", SPECTRA)
def test_the_interval_contains_the_norm_and_is_narrow(name, shape):
    A, s = specimen(name, *shape)
    for seed in range(3):
        lower, upper = interval(A, seed)
        assert lower <= s[0] * (1 + 1e-13) and s[0] * (1 - 1e-13) <= upper <= 1.05 * lower


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("name", ["200 within 1e-3, one above", "1/i", "rank 7"])
def test_the_interval_contains_the_norm_in_every_dtype(name, dtype):
    A, s = specimen(name, 420, 400, dtype)
    lower, upper = interval(A, 3)
    rounding = 30 * np.finfo(dtype).eps
    assert lower <= s[0] * (1 + rounding) and s[0] * (1 - rounding) <= upper <= 1.05 * lower


SHAPES = [(1, 1), (1, 40), (40, 1), (3, 2), (2, 3), (5, 9), (31, 31), (32, 32), (33, 40), (40, 33), (63, 80), (64, 64),
          (65, 70), (20, 500), (500, 20), (100, 70), (130, 129), (319, 50), (319, 330), (321, 30)]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_the_interval_contains_the_norm_and_is_finite_at_every_shape(shape):
    A = np.random.default_rng(8).standard_normal(shape)
    true = float(np.linalg.norm(A, 2))
    for seed in range(3):
        lower, upper = interval(A, seed)
        assert lower <= true * (1 + 1e-13) and true <= upper * (1 + 1e-13) and upper <= 1.1 * lower


@pytest.mark.parametrize("shape", [(1, 1), (5, 9), (40, 33), (500, 40), (400, 390)])
def test_the_norm_of_a_zero_matrix_is_zero(shape):
    lower, upper = interval(np.zeros(shape), 0)
    assert lower == upper == 0.0


@pytest.mark.parametrize("rank", [1, 2, 5, 31, 32, 33, 64])
def test_the_lower_end_holds_when_the_krylov_space_is_exhausted(rank):
    """Blocks beyond the rank of the matrix are rounding noise, and must not add to its norm."""
    A, s = gallery.with_spectrum(500, 380, np.linspace(1, 0.5, rank), seed=rank)
    for seed in range(5):
        lower, upper = interval(A, seed)
        assert s[0] * (1 - 1e-6) <= lower <= s[0] * (1 + 1e-13) and s[0] * (1 - 1e-13) <= upper


def test_two_equal_tops_in_orthogonal_blocks_are_seen_by_every_seed():
    A = np.zeros((400, 390))
    A[0, 0], A[399, 389] = 1.0, 1.0000001
    for seed in range(10):
        lower, upper = interval(A, seed)
        assert lower <= 1.0000001 * (1 + 1e-13) and upper >= 1.0000001 * (1 - 1e-13)


@pytest.mark.parametrize("delta", [0.1, 0.01])
@pytest.mark.parametrize("gap", [0.7, 1.02, 1.5])
def test_from_a_single_start_the_upper_end_fails_at_most_as_often_as_stated(gap, delta):
    """One start instead of 32, and a spectrum on which Lanczos is about as slow as the theorem allows: no slack is left
    but the theorem's own. gap is in units of the error that the theorem lets pass."""
    s = chebyshev(110, gap * spectral.slack(110, 1, spectral.STEPS, delta))
    A, _ = gallery.with_spectrum(120, 110, s, seed=9)
    trials, below = 250, 0
    for seed in range(trials):
        lower, upper = interval(A, seed, delta, starts=1)
        assert lower <= s[0] * (1 + 1e-13)
        below += upper < s[0]
    assert below <= coverage.most(trials, delta)


@pytest.mark.slow
@pytest.mark.parametrize("name", SPECTRA)
def test_the_upper_end_never_fails_over_100_seeds(name):
    A, s = specimen(name)
    for seed in range(100):
        lower, upper = interval(A, seed, 1e-2)
        assert lower <= s[0] * (1 + 1e-13) and s[0] * (1 - 1e-13) <= upper, seed


def test_the_interval_of_a_residual_contains_its_norm():
    A, s = gallery.with_spectrum(420, 400, gallery.poly(400), seed=9)
    U, sv, Vh = np.linalg.svd(A, full_matrices=False)
    for k in (1, 20, 150):
        F = SVD(U[:, :k], sv[:k], Vh[:k])
        lower, upper = interval(A, k, factor=F)
        assert lower <= s[k] * (1 + 1e-12) and s[k] <= upper <= 1.05 * lower
        assert spectral.exact_norm(coverage.metered(A), F) == pytest.approx(s[k], rel=1e-12)


def test_a_report_carries_the_interval_over_the_norm_that_was_found_from_below(monkeypatch):
    monkeypatch.setattr(spectral, "affordable", lambda shape: False)
    A, s = specimen("1/i")
    U, sv, Vh = np.linalg.svd(A, full_matrices=False)
    budget = Budget(rank=30, norm="spectral", failure_probability=0.01)
    assess = Spectral(bring_to_scale(coverage.metered(A)), budget, Streams(1))
    found = assess(SVD(U[:, :30], sv[:30], Vh[:30]), None).certificate
    assert (found.kind, found.norm, found.failure_probability) == ("bound", "spectral", 0.01)
    assert 0.95 * s[0] <= found.matrix_norm <= s[0] * (1 + 1e-12)
    assert found.relative_estimate * found.matrix_norm <= s[30] * (1 + 1e-12) and s[30] <= found.absolute
    assert found.relative * found.matrix_norm == pytest.approx(found.absolute, rel=1e-12)
    # the second look has half the probability left, so its bound is a little wider
    again = assess(SVD(U[:, :30], sv[:30], Vh[:30]), None).certificate
    assert found.absolute < again.absolute < 1.05 * found.absolute


def test_sparse_storage_gives_an_interval_that_contains_the_norm():
    S = csr_array(random_array((500, 420), density=0.03, rng=np.random.default_rng(2)))
    true = float(np.linalg.norm(S.toarray(), 2))
    lower, upper = interval(S, 1)
    assert lower <= true * (1 + 1e-13) and true <= upper <= 1.05 * lower


def test_the_interval_does_not_depend_on_threads():
    A, _ = specimen("1/i", 2500, 300)
    assert len({interval(A, 1, threads=threads) for threads in (1, 2, 3)}) == 1


# The theorem's number


def test_slack_shrinks_with_steps_starts_and_probability_and_grows_with_the_size():
    def falls(values):
        return all(b < a for a, b in itertools.pairwise(values)) and 0 < values[-1] <= 1

    assert falls([spectral.slack(1000, 32, steps, 1e-6) for steps in range(4, 30)])
    assert falls([spectral.slack(1000, starts, 10, 1e-6) for starts in range(1, 40)])
    assert falls([spectral.slack(1000, 32, 10, 10.0**-e) for e in range(12, 0, -1)])
    assert falls([spectral.slack(10**e, 32, 10, 1e-6) for e in range(9, 1, -1)])


def test_slack_is_at_most_all_of_it():
    assert spectral.slack(10**9, 1, 1, 1e-9) == 1.0


@pytest.mark.parametrize("n", [100, 10_000, 1_000_000])
@pytest.mark.parametrize("starts", [1, 8, 32])
def test_slack_solves_the_equation_of_the_theorem(n, starts):
    eps = spectral.slack(n, starts, 40, 1e-4)
    one_start = 1.648 * math.sqrt(n) * math.exp(-math.sqrt(eps) * (2 * 40 - 1))
    assert one_start**starts == pytest.approx(1e-4, rel=1e-9)


def test_the_interval_is_within_a_tenth_up_to_a_million_rows():
    widths = {n: 1 / math.sqrt(1 - spectral.slack(n, spectral.STARTS, spectral.STEPS, 1e-6)) for n in (10**4, 10**6)}
    assert widths[10**4] <= 1.05 and widths[10**6] <= 1.1


# Exact where it can be afforded


@pytest.mark.parametrize("dtype", gallery.DTYPES)
def test_the_exact_norm_is_that_of_a_dense_decomposition(dtype):
    A, F = coverage.with_residual(coverage.RESIDUALS["geometric"], dtype)
    assert spectral.exact_norm(coverage.metered(A), F) == pytest.approx(1.0, abs=50 * float(np.finfo(dtype).eps))


def test_what_is_affordable_is_decided_by_the_shape_alone():
    assert spectral.affordable((1000, 4000)) and spectral.affordable((1, 4_000_000))
    assert not spectral.affordable((1001, 1001)) and not spectral.affordable((1000, 4001))
