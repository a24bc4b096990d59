"""Frequent directions: never above A^H A, never further below than is said, whatever the rows and however many."""

from __future__ import annotations

import gallery
import numpy as np
import pytest
from contracts import cases
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from lowrank_cli import api
from lowrank_cli.algorithms.outcome import Status
from lowrank_cli.analysis.verify import verify
from lowrank_cli.errors import InputError, UsageError
from lowrank_cli.formats.memory import from_array
from lowrank_cli.matrices import forwards


def sketch(A, rank, **asked):
    return api.approx(A, method="fd", rank=rank, **{"passes": 1, "threads": 1, **asked})


def left(A, factor):
    """Eigenvalues of A^H A - V s^2 V^H, over |A|_2^2."""
    A = A.astype(np.result_type(A, np.float64))
    V, s = factor.Vh.conj().T.astype(A.dtype), factor.s.astype(np.float64)
    norm = np.linalg.norm(A, 2) ** 2
    return np.linalg.eigvalsh(A.conj().T @ A - (V * s**2) @ V.conj().T) / norm


def assert_guarantee(A, outcome, rounding=1e-12):
    """The bound that is printed, the theorem, and that nothing is above A^H A."""
    values, l = left(A, outcome.factor), outcome.factor.rank
    norm = np.linalg.norm(A, 2) ** 2
    taken = outcome.facts["directions"]["taken"] / norm
    s = np.linalg.svd(A, compute_uv=False)
    assert values[0] >= -rounding and values[-1] <= taken + rounding
    for j in range(l + 1):
        assert taken <= np.sum(s[j:] ** 2) / norm / (l + 1 - j) + rounding
    return values


@pytest.mark.parametrize("rank", [1, 5, 12])
@pytest.mark.parametrize("name", sorted(gallery.GALLERY))
def test_the_guarantee_holds_on_every_matrix(name, rank):
    A = gallery.GALLERY[name]()[0]
    outcome = sketch(A, min(rank, *A.shape))
    if not A.any():
        assert outcome.certificate.relative == 0 and not outcome.factor.s.any()
        return
    values = assert_guarantee(A, outcome, 1e-5 if A.real.itemsize == 4 else 1e-12)
    found, norm = outcome.certificate, np.linalg.norm(A, 2) ** 2
    assert found.kind == "bound" and found.failure_probability is None and found.norm == "fro"
    assert found.absolute >= norm * np.linalg.norm(values) * (1 - 1e-12) - 1e-12 * norm
    spectral = sketch(A, min(rank, *A.shape), norm="spectral").certificate
    assert spectral.absolute >= norm * np.abs(values).max() * (1 - 1e-12)
    assert spectral.relative >= np.abs(values).max() * (1 - 1e-12)


@given(st.integers(1, 60), st.integers(1, 25), st.integers(0, 2**20), st.data())
@settings(deadline=None, max_examples=60)
def test_the_guarantee_holds_for_any_shape_rank_and_order_of_rows(m, n, seed, data):
    rank = data.draw(st.integers(1, min(m, n)))
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((m, n)) * 10.0 ** rng.uniform(-3, 3, (m, 1))
    assert_guarantee(A, sketch(A, rank))


@pytest.mark.slow
@given(st.integers(1, 300), st.integers(1, 60), st.integers(0, 2**20), st.data())
@settings(deadline=None, max_examples=1000)
def test_the_guarantee_holds_for_many_more(m, n, seed, data):
    rank = data.draw(st.integers(1, min(m, n)))
    A = np.random.default_rng(seed).standard_normal((m, n)) @ np.diag(0.8 ** np.arange(n))
    assert_guarantee(A, sketch(A, rank))


def test_what_fits_into_the_sketch_is_kept_exactly():
    A, _ = gallery.with_spectrum(900, 40, np.r_[np.ones(6), np.zeros(34)])
    outcome = sketch(A, 10)
    assert np.abs(left(A, outcome.factor)).max() < 1e-13 and outcome.certificate.relative < 1e-11
    assert np.allclose(outcome.factor.s[:6], np.linalg.svd(A, compute_uv=False)[:6], rtol=1e-10)


def test_the_error_is_measured_where_the_matrix_can_be_read_again():
    A, _ = gallery.with_spectrum(300, 60, gallery.poly(60))
    seen, again = sketch(A, 9), sketch(A, 9, passes=None)
    assert cases.bits(seen.factor) == cases.bits(again.factor)
    true = np.linalg.norm(left(A, seen.factor)) * np.linalg.norm(A, 2) ** 2
    assert again.certificate.kind == "exact" and again.certificate.absolute == pytest.approx(true, rel=1e-9)
    assert again.certificate.absolute <= seen.certificate.absolute
    assert seen.ledger.passes == 1 and again.ledger.passes == 3


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("exponent", [-60, 0, 60])
def test_every_dtype_and_scale(dtype, exponent):
    A, _ = gallery.with_spectrum(120, 40, gallery.poly(40), dtype=dtype)
    A = (A * 2.0**exponent).astype(dtype)
    outcome = sketch(A, 8)
    assert outcome.factor.dtype == A.dtype and outcome.factor.s.dtype == A.real.dtype
    assert left(A, outcome.factor)[0] > -1e-5 and outcome.certificate.relative < 1


@pytest.mark.parametrize("exponent", [-900, 900])
def test_scales_whose_squares_overflow(exponent):
    A, _ = gallery.with_spectrum(120, 40, gallery.poly(40))
    for passes in (1, None):
        plain, far = sketch(A, 8, passes=passes), sketch(np.ldexp(A, exponent), 8, passes=passes)
        assert np.array_equal(np.ldexp(far.factor.s, -exponent), plain.factor.s)
        assert far.certificate.relative == pytest.approx(plain.certificate.relative, rel=1e-12)


def test_no_bit_depends_on_blocks_storage_or_threads(monkeypatch):
    A = cases.large()
    wanted = cases.bits(sketch(A, 20).factor)
    for block in (1, 300_000):
        monkeypatch.setattr(forwards, "_BLOCK", block)
        assert cases.bits(sketch(A, 20).factor) == wanted
    assert cases.bits(sketch(np.asfortranarray(A), 20, passes=None, threads=4).factor) == wanted
    assert cases.bits(sketch(csr_array(A), 20, passes=None).factor) == wanted


def test_sketches_of_parts_are_rows_whose_sketch_is_one_of_all():
    A, _ = gallery.with_spectrum(500, 50, gallery.poly(50))
    parts = [sketch(rows, 12) for rows in (A[:180], A[180:195], A[195:])]
    both = np.vstack([part.factor.s[:, None] * part.factor.Vh for part in parts])
    merged = sketch(both, 12)
    taken = sum(part.facts["directions"]["taken"] for part in (*parts, merged))
    values = left(A, merged.factor) * np.linalg.norm(A, 2) ** 2
    assert values[0] > -1e-12 and values[-1] <= taken
    # the guarantee of one sketch of all rows
    assert taken <= np.linalg.norm(A) ** 2 / 13 * (1 + 1e-9)


def test_a_tolerance_beside_the_rank_is_met_or_missed():
    A, _ = gallery.with_spectrum(300, 60, gallery.exponential(60, 0.4))
    assert sketch(A, 30, rtol=1e-3).status is Status.CONVERGED
    missed = sketch(A, 3, rtol=1e-3)
    assert missed.status is Status.RANK_REACHED and not missed.bound_met


def test_verify_holds_a_sketch_against_its_matrix():
    A, _ = gallery.with_spectrum(300, 60, gallery.poly(60))
    for passes, norm in ((1, "fro"), (1, "spectral"), (None, "fro"), (None, "spectral")):
        outcome, report = cases.run(cases.CASES["fd"], A, rank=9, passes=passes, norm=norm)
        assert verify(outcome.factor, report, from_array(A), orthogonality=True)["holds"]
        assert not verify(outcome.factor, report, from_array(A[:200]))["holds"]
        assert not verify(outcome.factor, report, from_array(1.5 * A))["holds"]
    larger = type(outcome.factor)(outcome.factor.s * 1.01, outcome.factor.Vh)
    assert "eigenvalue -" in verify(larger, report, from_array(A))["reason"]
    assert verify(outcome.factor, report, from_array(A), sample=True)["holds"] if norm == "fro" else True


def test_what_it_cannot_do_is_refused():
    with pytest.raises(UsageError, match="needs --rank"):
        api.approx(np.ones((30, 20)), method="fd", rtol=0.1)
    with pytest.raises(UsageError, match="too large"):
        sketch(np.ones((30, 20)), 21)
    A = np.ones((600, 20))
    A[555, 7] = np.inf
    with pytest.raises(InputError, match="row 555, column 7"):
        sketch(A, 3)
