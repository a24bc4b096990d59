"""--passes: never more reads than allowed, as good as peers with many more, and an error that is what it says."""

from __future__ import annotations

import gallery
import measure
import numpy as np
import pytest
from counted import Counted

from lowrank_cli.algorithms import TABLE, few_passes, first_pass
from lowrank_cli.algorithms.outcome import Status
from lowrank_cli.algorithms.svd import SVDOptions
from lowrank_cli.budget import Budget
from lowrank_cli.engines.threads import ThreadEngine
from lowrank_cli.errors import InputError, UsageError
from lowrank_cli.matrices.dense import TiledMatrix
from lowrank_cli.matrices.filed import Filed
from lowrank_cli.matrices.metered import Metered
from lowrank_cli.streams import Streams

SPECTRA = {
    "noise": np.r_[np.linspace(10, 1, 20), np.full(500, 0.1)],
    "1/j": gallery.poly(520),
    "1/sqrt(j)": gallery.inverse_sqrt(520),
    "exponential": gallery.exponential(520, 0.05),
}
A, SINGULAR = gallery.with_spectrum(900, 520, SPECTRA["1/sqrt(j)"])


def run(A, method="svd", options=None, engine=None, **asked):
    how = TABLE[method].load()
    counted = Counted(A if hasattr(A, "matmat") else TiledMatrix(A, engine))
    budget = how.settled(Budget(**asked), once=False)
    return how.run(Metered(counted), budget, options or how.options(), Streams(0)), counted


def randomized_svd(A, k, steps, rng):
    """Halko, Martinsson and Tropp 2011, with ten columns more than the rank and so many power steps."""
    Q = np.linalg.qr(A @ rng.standard_normal((A.shape[1], k + 10)))[0]
    for _ in range(steps):
        Q = np.linalg.qr(A @ np.linalg.qr(A.T @ Q)[0])[0]
    s = np.linalg.svd(Q.T @ A, compute_uv=False)[:k]
    return float(np.sqrt(max(0.0, np.sum(A * A) - np.sum(s * s))))


@pytest.mark.parametrize("spectrum", SPECTRA)
def test_three_passes_are_as_good_as_seven_power_steps(spectrum):
    A, s = gallery.with_spectrum(900, 520, SPECTRA[spectrum])
    outcome, counted = run(A, rank=20, passes=3)
    assert len(counted.reads) == outcome.ledger.passes == 3
    peer = randomized_svd(A, 20, 7, np.random.default_rng(0))
    assert measure.residual(A, outcome.factor) <= peer * (1 + 1e-9)
    assert measure.residual(A, outcome.factor) <= measure.best(s, 20) * (1 + 1e-5)


@pytest.mark.parametrize("spectrum", SPECTRA)
def test_two_passes_are_within_a_thousandth_of_the_best(spectrum):
    A, s = gallery.with_spectrum(900, 520, SPECTRA[spectrum])
    outcome, counted = run(A, rank=20, passes=2)
    assert counted.reads[0] == "sweep and normal_matmat and matmat" and counted.reads[1:] == ["normal"]
    assert measure.residual(A, outcome.factor) <= measure.best(s, 20) * 1.001


def relative(A, factor):
    """|A - F| / |A| at any scale a float holds."""
    unit = 2.0 ** -np.frexp(np.abs(A).max(initial=0.0))[1]
    wide = np.result_type(A.dtype, np.float64)
    left = A.astype(wide) * unit - factor.reconstruct().astype(wide) * unit
    return float(np.linalg.norm(left) / (np.linalg.norm(A.astype(wide) * unit) or 1.0))


CASES = {
    "tall": A[:600],
    "wide": np.ascontiguousarray(A[:600].T),
    "single": A[:600].astype(np.float32),
    "complex": (A * (1 + 1j))[:300, :200],
    "small": A[:30, :20].copy(),
    "row": A[:1].copy(),
    "zero": np.zeros((60, 50)),
    "rank one": np.outer(A[:, 0], A[0]),
    "large": A[:300] * 2.0**900,
    "tiny": A[:300] * 2.0**-900,
    "graded": gallery.with_spectrum(200, 150, 10.0 ** -np.linspace(0, 15, 150))[0],
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("method", ["svd", "qb"])
@pytest.mark.parametrize("passes", [2, 3, 5])
def test_no_pass_more_than_allowed_and_an_error_that_is_true(case, method, passes):
    A = CASES[case]
    k = min(8, *A.shape)
    for asked in ({"rank": k}, {"rtol": 0.3}, {"rtol": 1e-4}, {"rank": k, "certify": "probes"}):
        outcome, counted = run(A, method, passes=passes, **asked)
        assert outcome.ledger.passes <= passes
        if "certify" not in asked:
            assert outcome.ledger.passes == len(counted.reads)
        found = outcome.certificate
        true = relative(A, outcome.factor)
        noise = 40 * measure.eps(A) * max(A.shape) ** 0.5
        if found.kind == "exact":
            assert found.relative == pytest.approx(true, rel=1e-6, abs=noise)
        else:
            assert true <= found.relative + noise and found.failure_probability == 1e-6
        if "rtol" in asked and outcome.status is Status.CONVERGED:
            assert found.relative <= asked["rtol"]
        elif "rtol" in asked:
            assert outcome.status is Status.PASSES_SPENT
        if method == "svd":
            k = outcome.factor.rank
            for Q in (outcome.factor.U, outcome.factor.Vh.conj().T):
                assert np.abs(Q.conj().T @ Q - np.eye(k)).max() <= 100 * measure.eps(A)


def test_passes_that_are_not_needed_are_not_taken_and_one_measures_what_rounding_hides():
    outcome, _ = run(A.astype(np.float32), rank=20, passes=12)
    assert outcome.ledger.passes <= 7 and outcome.certificate.kind == "exact"
    assert run(A, rank=20, passes=12)[0].ledger.passes <= 6


def test_a_tolerance_beyond_the_passes_is_said_to_be_missed_with_advice():
    outcome, _ = run(A, rtol=0.01, passes=2)
    assert outcome.status is Status.PASSES_SPENT and not outcome.bound_met
    assert outcome.certificate.relative > 0.01


@pytest.mark.parametrize("passes", [2, 3, 4])
def test_no_bit_depends_on_storage_or_threads(passes):
    def filed(by_rows, buffer):
        def read(rows, cols, out):
            out[...] = A[rows, cols]

        return TiledMatrix(Filed(A.shape, A.dtype, by_rows, read, lambda: None, buffer), ThreadEngine(3))

    first = run(A, rank=20, passes=passes)[0]
    others = [TiledMatrix(np.asfortranarray(A), ThreadEngine(2)), filed(True, 300_000), filed(False, 3_000_000)]
    for other in others:
        outcome = run(other, rank=20, passes=passes)[0]
        for name, array in first.factor.arrays().items():
            assert outcome.factor.arrays()[name].tobytes() == array.tobytes()
        assert outcome.certificate == first.certificate and outcome.ledger == first.ledger


def test_what_passes_cannot_hold_is_refused_by_name():
    with pytest.raises(UsageError, match="--method id cannot be held to --passes 3"):
        run(A, "id", rank=5, passes=3)
    with pytest.raises(UsageError, match="spectral"):
        run(A, rank=5, passes=3, norm="spectral")
    for options in (SVDOptions(max_blocks=3), SVDOptions(residual=0.1)):
        with pytest.raises(UsageError, match="both say when to stop"):
            run(A, options=options, rank=5, passes=3)
    with pytest.raises(InputError, match="row 3, column 4"):
        B = A.copy()
        B[3, 4] = np.nan
        run(B, rank=5, passes=3)


@pytest.mark.parametrize("spectrum", ["noise", "1/j", "exponential"])
@pytest.mark.parametrize("upright", [True, False])
def test_a_large_matrix_is_read_twice_where_that_leaves_nothing_to_a_third_pass(monkeypatch, spectrum, upright):
    monkeypatch.setattr(few_passes, "LARGE", A.nbytes)
    B, s = gallery.with_spectrum(900, 520, SPECTRA[spectrum])
    outcome, counted = run(B if upright else np.ascontiguousarray(B.T), rank=20)
    assert len(counted.reads) == outcome.ledger.passes == 2 and outcome.certificate.kind == "exact"
    left = B if upright else B.T
    assert measure.residual(left, outcome.factor) <= measure.best(s, 20) * (1 + 1e-5)


def test_a_promise_of_two_passes_that_does_not_hold_costs_one_more_and_no_accuracy(monkeypatch):
    monkeypatch.setattr(few_passes, "LARGE", A.nbytes)
    monkeypatch.setattr(first_pass, "_promised", lambda squares, k, outside, total: float(np.sum(squares[:k])))
    outcome, _ = run(A, rank=20)
    assert 3 <= outcome.ledger.passes <= 4
    assert measure.residual(A, outcome.factor) <= measure.best(SINGULAR, 20) * (1 + 1e-5)


def test_a_large_matrix_is_read_three_times_without_being_asked(monkeypatch):
    monkeypatch.setattr(few_passes, "LARGE", A.nbytes)
    outcome, counted = run(A, rank=20)
    assert len(counted.reads) == outcome.ledger.passes == 3
    assert outcome.certificate.kind == "exact"
    assert measure.residual(A, outcome.factor) <= measure.best(SINGULAR, 20) * (1 + 1e-5)
    # one that is hard takes more, and stays as good as others
    flat, s = gallery.with_spectrum(900, 520, np.arange(1.0, 521) ** -0.1)
    outcome, _ = run(flat, rank=20)
    assert measure.residual(flat, outcome.factor) <= measure.best(s, 20) * 1.004
