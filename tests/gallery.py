"""Matrices whose singular values are known, real matrices by name, and Hypothesis strategies.

A function that makes a matrix returns ``(A, s)``: the array, and its min(m, n) singular values in descending order in
float64, or None where no closed form is known. Values of a float32 or complex64 matrix are those before it was rounded
to that dtype, so they hold to about ``eps(dtype) * s[0]``.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

Specimen = tuple[np.ndarray, np.ndarray | None]

#: dtypes the library computes in
DTYPES = ("float32", "float64", "complex64", "complex128")
#: dtypes it reads and converts
STORED_DTYPES = ("bool", "int8", "uint8", "int32", "uint16", "int64", "float16", ">f8", ">i4", ">c16", *DTYPES)
ORDERS = ("C", "F")


def real(name: str) -> Path:
    """Path of a real matrix in the folder LOWRANK_DATA names. Without it the test is skipped; in CI it fails."""
    folder = os.environ.get("LOWRANK_DATA")
    missing = pytest.fail if os.environ.get("CI") else pytest.skip
    if not folder:
        missing("LOWRANK_DATA is not set: it names the folder of real matrices")
    path = Path(folder) / name
    if not path.is_file():
        missing(f"LOWRANK_DATA has no {name}")
    return path


# Spectra: n values, descending, the first one 1.


def flat(n: int) -> np.ndarray:
    return np.ones(n)


def poly(n: int, p: float = 1.0) -> np.ndarray:
    """1 / i^p."""
    return np.arange(1, n + 1, dtype=float) ** -p


def inverse_sqrt(n: int) -> np.ndarray:
    """i^-1/2: decays so slowly that half the columns hold little more than half of the norm."""
    return poly(n, 0.5)


def exponential(n: int, rate: float = 0.1) -> np.ndarray:
    """exp(-rate i), i from 0."""
    return np.exp(-rate * np.arange(n))


def step(n: int, k: int = 5, low: float = 1e-6) -> np.ndarray:
    """k ones, then n - k values ``low``: one gap, and ties on both sides of it."""
    s = np.full(n, low)
    s[:k] = 1.0
    return s


def spiked(n: int, spike: float = 1e-3) -> np.ndarray:
    """One value 1 over a flat floor ``spike``: the residual of rank 1 is flat, that of rank 0 has rank one."""
    return step(n, 1, spike)


def stairs(n: int, width: int = 4, drop: float = 10**-0.6) -> np.ndarray:
    """Devil's stairs: steps of ``width`` equal values, each ``drop`` times the one before."""
    return drop ** (np.arange(n) // width).astype(float)


SPECTRA: dict[str, Callable[[int], np.ndarray]] = {
    "flat": flat,
    "poly_1": poly,
    "poly_2": lambda n: poly(n, 2.0),
    "inverse_sqrt": inverse_sqrt,
    "exponential": exponential,
    "step": step,
    "spiked": spiked,
    "stairs": stairs,
}


# Matrices


def orthonormal(m: int, k: int, rng: np.random.Generator, *, complex_: bool = False) -> np.ndarray:
    """An m x k matrix with orthonormal columns, Haar-like: QR of a Gaussian."""
    gauss = rng.standard_normal((m, k))
    if complex_:
        gauss = gauss + 1j * rng.standard_normal((m, k))
    return np.linalg.qr(gauss)[0]


def with_spectrum(
    m: int, n: int, s: np.ndarray, seed: int = 0, dtype: str = "float64", order: str = "C"
) -> tuple[np.ndarray, np.ndarray]:
    """U diag(s) V^H with random orthonormal U, V. s may be shorter than min(m, n): the rest are zeros.

    Made in double precision and then rounded to dtype.
    """
    s = np.sort(np.asarray(s, dtype=float))[::-1]
    k = min(m, n)
    if s.size > k:
        raise ValueError(f"{s.size} singular values do not fit a {m} x {n} matrix")
    rng = np.random.default_rng(seed)
    complex_ = np.dtype(dtype).kind == "c"
    U = orthonormal(m, s.size, rng, complex_=complex_)
    V = orthonormal(n, s.size, rng, complex_=complex_)
    A = (U * s) @ V.conj().T
    return np.array(A, dtype=dtype, order=order), np.concatenate([s, np.zeros(k - s.size)])


def exact_rank(
    m: int, n: int, r: int, seed: int = 0, dtype: str = "float64", order: str = "C"
) -> tuple[np.ndarray, np.ndarray]:
    """Rank r up to rounding, singular values from 1 down to 1/2 and then zeros."""
    return with_spectrum(m, n, np.linspace(1.0, 0.5, r), seed, dtype, order)


def zero(m: int, n: int, dtype: str = "float64") -> Specimen:
    return np.zeros((m, n), dtype), np.zeros(min(m, n))


def one_by_n(n: int, seed: int = 0, dtype: str = "float64") -> Specimen:
    A = np.random.default_rng(seed).standard_normal((1, n)).astype(dtype)
    return A, np.array([np.linalg.norm(A.astype("complex128"))])


def n_by_one(n: int, seed: int = 0, dtype: str = "float64") -> Specimen:
    A, s = one_by_n(n, seed, dtype)
    return np.ascontiguousarray(A.T), s


def all_equal(m: int, n: int, value: float = 3.0) -> Specimen:
    """Every entry the same: every column is a candidate, one is enough."""
    s = np.zeros(min(m, n))
    s[0] = abs(value) * math.sqrt(m * n)
    return np.full((m, n), value), s


def duplicate_columns(m: int, n: int, seed: int = 0) -> Specimen:
    """Random columns, each twice in a row: an m x 2n matrix of rank at most n with exact ties."""
    A = np.random.default_rng(seed).standard_normal((m, n))
    s = np.zeros(min(m, 2 * n))
    s[: min(m, n)] = math.sqrt(2.0) * np.linalg.svd(A, compute_uv=False)
    return np.repeat(A, 2, axis=1), s


def hilbert(n: int) -> Specimen:
    """1 / (i + j + 1). Singular values to 15 digits for n = 5 and 10, from computations with 60 digits."""
    i = np.arange(n)
    return 1.0 / (i[:, None] + i[None, :] + 1.0), _HILBERT.get(n)


_HILBERT = {
    5: np.array(
        [1.5670506910982308, 0.20853421861101334, 0.011407491623419807, 3.0589804015119173e-4, 3.287928772171863e-6]
    ),
    10: np.array(
        [
            1.7519196702651775,
            0.3429295484835091,
            0.035741816271639236,
            0.0025308907686700381,
            1.2874961427637708e-4,
            4.7296892931823475e-6,
            1.228967738751175e-7,
            2.1474388173504786e-9,
            2.2667467477629255e-11,
            1.0931538193796658e-13,
        ]
    ),
}


def kahan(n: int, theta: float = 1.2) -> Specimen:
    """Kahan's upper triangular matrix: column pivoting leaves its columns in place and misses the last singular value.

    Column j is scaled by 1 - 1e-13 j, so that rounding cannot break the ties of the pivot norms.
    """
    c, s = math.cos(theta), math.sin(theta)
    R = np.triu(np.full((n, n), -c), 1) + np.eye(n)
    A = (s ** np.arange(n))[:, None] * R
    return A * (1.0 - 1e-13 * np.arange(n)), None


def lower_triangular_ones(n: int) -> Specimen:
    """s_k = 1 / (2 sin((2k - 1) pi / (4n + 2))): decays like 1/k."""
    k = np.arange(1, n + 1)
    return np.tril(np.ones((n, n))), 0.5 / np.sin((2 * k - 1) * np.pi / (4 * n + 2))


def path_difference(n: int) -> Specimen:
    """First differences along a path, (n - 1) x n: s_k = 2 cos(k pi / 2n)."""
    A = np.zeros((n - 1, n))
    i = np.arange(n - 1)
    A[i, i] = -1.0
    A[i, i + 1] = 1.0
    return A, 2.0 * np.cos(np.arange(1, n) * np.pi / (2 * n))


def dft(n: int) -> Specimen:
    """The discrete Fourier transform: every singular value sqrt(n), the hardest spectrum for a gap."""
    i = np.arange(n)
    # the exponent is reduced modulo n in integers, so that no large angle is rounded
    return np.exp(-2j * np.pi * (np.outer(i, i) % n) / n), np.full(n, math.sqrt(n))


def clement(n: int) -> Specimen:
    """The symmetric tridiagonal matrix with eigenvalues n - 1, n - 3, ..., 1 - n: singular values in exact pairs."""
    k = np.arange(1, n)
    off = np.sqrt(k * (n - k).astype(float))
    s = np.abs(np.arange(n - 1, -n, -2, dtype=float))
    return np.diag(off, 1) + np.diag(off, -1), np.sort(s)[::-1]


#: Small matrices of every kind for contract tests: name -> maker of (A, s).
GALLERY: dict[str, Callable[[], Specimen]] = {
    **{f"{name}_40x30": (lambda f=f: with_spectrum(40, 30, f(30))) for name, f in SPECTRA.items()},
    "wide_30x70": lambda: with_spectrum(30, 70, poly(30), seed=1),
    "tall_90x12_fortran": lambda: with_spectrum(90, 12, exponential(12), seed=2, order="F"),
    "float32_40x30": lambda: with_spectrum(40, 30, poly(30), seed=3, dtype="float32"),
    "float32_fortran_30x40": lambda: with_spectrum(30, 40, exponential(30), seed=4, dtype="float32", order="F"),
    "complex128_40x30": lambda: with_spectrum(40, 30, poly(30), seed=5, dtype="complex128"),
    "complex64_fortran_30x40": lambda: with_spectrum(30, 40, exponential(30), seed=6, dtype="complex64", order="F"),
    "rank_5_50x40": lambda: exact_rank(50, 40, 5),
    "zero_20x10": lambda: zero(20, 10),
    "one_by_one": lambda: one_by_n(1),
    "one_by_25": lambda: one_by_n(25),
    "25_by_one": lambda: n_by_one(25),
    "all_equal_12x17": lambda: all_equal(12, 17),
    "duplicate_columns_25x30": lambda: duplicate_columns(25, 15),
    "hilbert_10": lambda: hilbert(10),
    "kahan_30": lambda: kahan(30),
    "lower_ones_30": lambda: lower_triangular_ones(30),
    "path_difference_31": lambda: path_difference(31),
    "dft_16": lambda: dft(16),
    "clement_21": lambda: clement(21),
}


# Hypothesis strategies


def shapes(min_side: int = 1, max_side: int = 40) -> st.SearchStrategy[tuple[int, int]]:
    side = st.integers(min_side, max_side)
    return st.tuples(side, side)


def dtypes() -> st.SearchStrategy[str]:
    return st.sampled_from(DTYPES)


def stored_dtypes() -> st.SearchStrategy[str]:
    return st.sampled_from(STORED_DTYPES)


def orders() -> st.SearchStrategy[str]:
    return st.sampled_from(ORDERS)


def powers_of_two(low: int = -900, high: int = 900) -> st.SearchStrategy[float]:
    """Scales that change no mantissa: A and 2^e A have the same relative error, bit for bit."""
    return st.integers(low, high).map(lambda e: math.ldexp(1.0, e))


@st.composite
def matrices(draw: st.DrawFn, max_side: int = 40, dtypes: st.SearchStrategy[str] | None = None) -> Specimen:
    """A matrix with a drawn shape, spectrum, dtype and order, and its singular values."""
    m, n = draw(shapes(1, max_side))
    spectrum = SPECTRA[draw(st.sampled_from(sorted(SPECTRA)))]
    dtype = draw(st.sampled_from(DTYPES) if dtypes is None else dtypes)
    return with_spectrum(m, n, spectrum(min(m, n)), draw(st.integers(0, 2**16)), dtype, draw(orders()))
