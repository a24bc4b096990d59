"""Rows of odd numbers that hold for every method; those of one method are beside its tests, under the same names."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from shell.conftest import one_error

import lowrank_cli
from lowrank_cli.algorithms import TABLE
from lowrank_cli.errors import InputError, UsageError

#: those that take any real matrix and nothing else
METHODS = ["svd", "qb", "id", "cur"]
RNG = np.random.default_rng(9)
A = RNG.standard_normal((30, 4)) @ RNG.standard_normal((4, 20))


def approx(matrix, **asked):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return lowrank_cli.approx(matrix, **asked)


def dense(factor) -> np.ndarray:
    return factor.matmat(np.eye(factor.shape[1]))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("method", METHODS)
def test_d01_nan_and_infinity_are_refused_with_place_and_count(method, bad):
    odd = A.copy()
    odd[7, 3] = odd[9, 1] = bad
    with pytest.raises(InputError, match=r"2 .*\(7, 3\)|row 7, column 3.*2|2 .*row 7, column 3"):
        approx(odd, rank=2, method=method)


def test_d02_nothing_replaces_nan_unasked(shell, tmp_path):
    odd = A.copy()
    odd[7, 3] = np.nan
    np.save(tmp_path / "a.npy", odd)
    one_error(shell("L approx a.npy -k 2 -o F.npz"), 4)
    one_error(shell("L approx a.npy -k 2 -o F.npz --nan zero"), 2)
    assert not (tmp_path / "F.npz").exists()


@pytest.mark.parametrize("method", METHODS)
def test_d03_zeros_give_error_zero_and_finite_factors(method):
    outcome = approx(np.zeros((12, 9)), rank=3, method=method)
    assert outcome.certificate.absolute == outcome.certificate.relative == 0
    assert all(np.isfinite(array).all() for array in outcome.factor.arrays().values())


@pytest.mark.parametrize("method", ["svd", "qb"])
def test_d04_less_rank_than_asked_stays_orthonormal(method):
    arrays = approx(A, rank=9, method=method).factor.arrays()
    Q = arrays["U" if method == "svd" else "Q"]
    assert np.linalg.norm(Q.conj().T @ Q - np.eye(Q.shape[1])) < 1e-13
    if method == "svd":
        assert (arrays["s"][4:] <= 1e-13 * arrays["s"][0]).all() and (arrays["s"] >= 0).all()


@pytest.mark.parametrize("shape", [(0, 5), (5, 0)])
def test_d05_no_rows_or_columns_are_refused_and_still_listed(shell, tmp_path, shape):
    np.save(tmp_path / "a.npy", np.zeros(shape))
    assert "rows" in (line := one_error(shell("L approx a.npy -k 1"), 4)) or "columns" in line
    assert json.loads(shell("L info a.npy --json").stdout)["items"][0]["shape"] == list(shape)


@pytest.mark.parametrize("shape", [(1, 1), (1, 20), (20, 1)])
@pytest.mark.parametrize("method", METHODS)
def test_d06_one_row_one_column_and_one_entry_work(method, shape):
    matrix = RNG.standard_normal(shape)
    assert np.allclose(dense(approx(matrix, rank=1, method=method).factor), matrix, rtol=1e-14)


@pytest.mark.parametrize("method", METHODS)
def test_d08_rows_of_mixed_scale_are_within_the_error_that_is_told(method):
    """Rows of 1e150 beside rows of 1e-150: the large ones are right, nothing overflows, the error is measured."""
    mixed = np.where(np.arange(30)[:, None] % 2, 1e150, 1e-150) * RNG.standard_normal((30, 20))
    outcome = approx(mixed, rank=15, method=method)
    true = np.linalg.norm((mixed - dense(outcome.factor)) / 1e150)
    assert outcome.certificate.absolute / 1e150 == pytest.approx(true, rel=1e-6, abs=1e-13)


def test_d08_a_result_that_overflows_is_an_error_that_names_the_file(shell, tmp_path):
    np.save(tmp_path / "huge.npy", np.full((5, 4), 1.5e308))
    assert "huge.npy: the largest singular value overflows" in one_error(shell("L approx huge.npy -k 1"), 1)


@pytest.mark.parametrize("method", METHODS)
def test_d09_float16_is_widened(method):
    """Squares of 300 overflow in half precision; the factors are single."""
    outcome = approx(np.full((30, 20), 300, np.float16), rank=1, method=method)
    assert np.isfinite(outcome.certificate.absolute) and outcome.certificate.relative < 1e-6
    assert {array.dtype for array in outcome.factor.arrays().values() if array.dtype.kind == "f"} == {np.dtype("f4")}


@pytest.mark.parametrize("method", METHODS)
def test_d10_integers_are_widened_before_any_product(method):
    whole = np.full((30, 20), 100, np.int8)
    outcome = approx(whole, rank=1, method=method)
    assert outcome.certificate.relative < 1e-14 and np.allclose(dense(outcome.factor), 100)


def test_d11_long_double_is_refused_by_name(shell, tmp_path):
    np.save(tmp_path / "a.npy", A.astype(np.longdouble))
    assert "long double" in one_error(shell("L approx a.npy -k 1"), 4)


@pytest.mark.parametrize("method", METHODS)
def test_d12_complex_is_never_cut_to_its_real_part(method):
    matrix = A + 1j * A[::-1, ::-1]
    assert np.allclose(dense(approx(matrix, rank=8, method=method).factor), matrix, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_d13_float32_has_its_own_tolerance_and_sums_in_double(method):
    """The error told is that of extended arithmetic over the stored single precision factors."""
    single = RNG.standard_normal((300, 200)).astype(np.float32)
    outcome = approx(single, rank=50, method=method)
    residual = single.astype(float) - outcome.factor.matmat(np.eye(200)).astype(float)
    assert outcome.certificate.absolute == pytest.approx(float(np.linalg.norm(residual)), rel=1e-6)
    assert approx(A.astype(np.float32), rank=4, method=method).certificate.relative < 1e-5


@pytest.mark.parametrize("method", METHODS)
def test_d14_ties_give_the_same_subspace_and_signs(method):
    """Ten equal singular values: two runs agree to the bit, and the error is that of every best choice."""
    Q = np.linalg.qr(RNG.standard_normal((40, 40)))[0][:, :10]
    once, again = (approx(Q @ Q.T, rank=10, method=method).factor for _ in range(2))
    assert [a.tobytes() for a in once.arrays().values()] == [a.tobytes() for a in again.arrays().values()]
    assert np.allclose(dense(once), Q @ Q.T, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_d16_a_rank_beyond_the_matrix_is_a_usage_error_that_names_the_largest(method):
    with pytest.raises(UsageError, match="20"):
        approx(A, rank=21, method=method)


# all columns of a full matrix are an interpolative decomposition without error
@pytest.mark.parametrize("method", ["svd", "qb", "cur"])
def test_d19_a_tolerance_out_of_reach_ends_with_exit_3_and_the_error_reached(shell, tmp_path, method):
    np.save(tmp_path / "a.npy", RNG.standard_normal((60, 40)))
    done = shell(f"L approx a.npy --rtol 3e-16 --method {method} --json -o F.npz")
    assert done.returncode == 3, done
    assert 0 < json.loads(done.stdout)["error"]["relative"] < 1e-12 and (tmp_path / "F.npz").exists()


def test_d20_rank_and_tolerance_together_any_limit_stops():
    assert approx(A, rank=2, rtol=1e-10).factor.rank == 2
    assert approx(A, rank=9, rtol=1e-10).factor.rank == 4


def test_d22_the_seed_is_0_unless_given_and_recorded(shell, tmp_path):
    np.save(tmp_path / "a.npy", A)
    done = shell(
        "L approx a.npy -k 2 --json -o F.npz; L approx a.npy -k 2 --json --seed 0 -o G.npz > /dev/null; cmp F.npz G.npz"
    )
    assert done.returncode == 0 and json.loads(done.stdout)["seed"] == 0


@pytest.mark.parametrize("method", METHODS)
def test_d26_numeric_warnings_do_not_pass_in_silence(method):
    """Every operation of NumPy that overflows, divides by zero or is invalid raises, and none does, at hard scales."""
    assert method in TABLE
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        for scale in (1e-300, 1e-160, 1.0, 1e160, 1e300):
            assert approx(A * scale, rank=3, method=method).certificate.relative < 1
            assert approx(A * scale, rtol=1e-3, method=method).certificate.relative <= 1e-3
