"""The gallery is what other tests measure against, so its own claims are held to closed forms first."""

from __future__ import annotations

import math

import gallery
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given


def singular_values(A: np.ndarray) -> np.ndarray:
    return np.linalg.svd(A.astype("complex128" if A.dtype.kind == "c" else "float64"), compute_uv=False)


@pytest.mark.parametrize("name", sorted(gallery.GALLERY))
def test_every_specimen_has_the_singular_values_it_claims(name):
    A, s = gallery.GALLERY[name]()
    if s is None:
        pytest.skip("no closed form")
    assert s.shape == (min(A.shape),)
    assert np.all(np.diff(s) <= 0)
    np.testing.assert_allclose(singular_values(A), s, rtol=0, atol=30 * np.finfo(A.dtype).eps * max(s[0], 1e-300))


@given(gallery.matrices())
def test_a_drawn_matrix_has_the_singular_values_it_claims(specimen):
    A, s = specimen
    np.testing.assert_allclose(singular_values(A), s, rtol=0, atol=30 * np.finfo(A.dtype).eps * s[0])


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("order", gallery.ORDERS)
def test_dtype_and_order_are_as_asked(dtype, order):
    A, _ = gallery.with_spectrum(7, 5, gallery.poly(5), dtype=dtype, order=order)
    assert A.dtype == dtype
    assert A.flags[f"{order}_CONTIGUOUS"] and not A.flags["F_CONTIGUOUS" if order == "C" else "C_CONTIGUOUS"]


def test_order_changes_no_value_and_the_seed_changes_them_all():
    make = gallery.with_spectrum
    s = gallery.poly(8)
    assert np.array_equal(make(9, 8, s, seed=3)[0], make(9, 8, s, seed=3, order="F")[0])
    assert not np.any(make(9, 8, s, seed=3)[0] == make(9, 8, s, seed=4)[0])


def test_a_spectrum_longer_than_the_matrix_is_refused():
    with pytest.raises(ValueError, match="do not fit"):
        gallery.with_spectrum(4, 3, gallery.poly(4))


def test_exact_rank_is_the_numerical_rank():
    A, s = gallery.exact_rank(30, 20, 6)
    assert np.linalg.matrix_rank(A) == 6
    assert np.count_nonzero(s) == 6


def test_column_pivoting_leaves_kahan_in_place_and_misses_its_last_singular_value():
    A, _ = gallery.kahan(40)
    R, pivots = scipy.linalg.qr(A, mode="r", pivoting=True)
    assert np.array_equal(pivots, np.arange(40))
    assert abs(R[-1, -1]) > 100 * singular_values(A)[-1]


def test_min_i_j_has_the_squares_of_the_lower_triangular_ones():
    A, s = gallery.lower_triangular_ones(25)
    i = np.arange(1, 26)
    np.testing.assert_allclose(A @ A.T, np.minimum.outer(i, i))
    np.testing.assert_allclose(np.linalg.eigvalsh(A @ A.T)[::-1], s**2, rtol=1e-10)


def test_published_condition_number_of_hilbert_10():
    _, s = gallery.hilbert(10)
    assert math.isclose(s[0] / s[-1], 1.60262868702e13, rel_tol=1e-11)


def test_dft_is_unitary_up_to_its_scale():
    A, s = gallery.dft(24)
    np.testing.assert_allclose(A.conj().T @ A, s[0] ** 2 * np.eye(24), atol=1e-12)


@given(gallery.powers_of_two())
def test_scales_change_no_mantissa(scale):
    x = np.array([1.0, math.pi, 1e-5])
    assert np.array_equal(np.frexp(x * scale)[0], np.frexp(x)[0])


def test_a_missing_real_matrix_fails_in_ci_and_is_skipped_elsewhere(monkeypatch, tmp_path):
    for folder in (None, str(tmp_path)):
        if folder is None:
            monkeypatch.delenv("LOWRANK_DATA", raising=False)
        else:
            monkeypatch.setenv("LOWRANK_DATA", folder)
        monkeypatch.setenv("CI", "true")
        with pytest.raises(pytest.fail.Exception, match="LOWRANK_DATA"):
            gallery.real("missing.mtx")
        monkeypatch.delenv("CI")
        with pytest.raises(pytest.skip.Exception, match="LOWRANK_DATA"):
            gallery.real("missing.mtx")


def test_a_real_matrix_is_found(monkeypatch, tmp_path):
    (tmp_path / "a.mtx").write_text("x")
    monkeypatch.setenv("LOWRANK_DATA", str(tmp_path))
    assert gallery.real("a.mtx") == tmp_path / "a.mtx"
