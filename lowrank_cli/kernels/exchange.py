"""Exchanging one chosen column for another: what an exchange would do, and the interpolation after it.

A is m x n, J names k of its columns, A_J = Q R, and E = A - A_J Z. An interpolation is held by Z = R^-1 Q^H A (k, n),
by R (k, k) and by squares (n,), the squared column norms of E. Let j be a column outside, i a position in J, and
M = (A_J^H A_J)^-1. Without column i the residual of j is e_j + u Z_ij / M_ii^(1/2), with u a unit vector orthogonal to
all columns of E; so its square is d = squares_j + |Z_ij|^2 / M_ii, and the exchange multiplies the volume |det R| by
rho_ij, rho_ij^2 = |Z_ij|^2 + M_ii squares_j (Gu and Eisenstat, SIAM J. Sci. Comput. 17, 1996).

An exchange itself needs E^H e_j, one product with A: block holds such products for the columns ``of``, and is kept
up to date by further exchanges among them. All arrays are in double precision, real or complex. We differ from Gu and
Eisenstat in updating coefficients and norms, which are what is asked for, beside the triangular factor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import np

if TYPE_CHECKING:
    import numpy


#: A column is left where it is if without it the squared error were so many times as large.
_STEEP = 1e6


def volume_ratios(Z: numpy.ndarray, R: numpy.ndarray, squares: numpy.ndarray) -> numpy.ndarray:
    """rho_ij^2 (k, n): by how much the squared volume grows when column j replaces the one at position i.

    Cost: 3 k n + k^3 flops.
    """
    return _squared(Z) + _inverse_gram(R).diagonal().real[:, None] * squares


def error_changes(
    Z: numpy.ndarray, R: numpy.ndarray, squares: numpy.ndarray, block: numpy.ndarray, of: numpy.ndarray
) -> numpy.ndarray:
    """(k, b): by how much |E|_F^2 changes when column of[c] replaces the one at position i; negative is better.

    |E|^2 grows by |Z_i|^2 / M_ii, the part that only column i explained, and falls by |v^H E|^2 for v the direction of
    the residual of j without i. 0 where the first is 1e6 |E|^2 or more: rounding then hides the change.
    Cost: 2 k n b + k^3 flops.
    """
    w = _inverse_gram(R).diagonal().real[:, None]
    own, across = _squared(Z).sum(axis=1)[:, None], Z[:, of]
    crossed = (across.conj() * (Z @ block)).real
    taken = _squared(block).sum(axis=0) + 2 * crossed / w + _squared(across) * own / w**2
    d = squares[of] + _squared(across) / w
    # a column of the span itself, with no part at i, changes nothing; of two numbers far above |E|^2 the difference
    # is rounding
    known = (d > 0) & (own / w < _STEEP * squares.sum())
    return np.where(known, own / w - taken / np.where(known, d, 1.0), 0.0)


def exchange(
    Z: numpy.ndarray,
    R: numpy.ndarray,
    squares: numpy.ndarray,
    block: numpy.ndarray,
    of: numpy.ndarray,
    i: int,
    c: int,
) -> numpy.ndarray:
    """Let column of[c] replace the one at position i: Z, squares and block are changed in place; the new R.

    R comes from a QR of its old columns and the new one, so it stays good however ill-conditioned the columns are.
    Cost: 4 k n + 4 n b + 5 k^3 flops, no product with A.
    """
    j = int(of[c])
    M, row = _inverse_gram(R), Z[i].copy()
    w = M[i, i].real
    replaced = np.vstack([R, np.zeros_like(R[:1])])
    replaced[:, i] = np.append(R @ Z[:, j], np.sqrt(squares[j]))
    d = squares[j] + abs(row[j]) ** 2 / w
    r = (block[:, c].conj() + row[j].conj() * row / w) / np.sqrt(d)
    block += np.outer(row.conj(), row[of] / w) - np.outer(r.conj(), r[of])
    squares += _squared(row) / w - _squared(r)
    np.maximum(squares, 0.0, out=squares)
    # the column at i is a combination of the others, by M, and what is orthogonal to them
    share = M[:, i] / -w
    share[i] = 0
    Z += np.outer(share, row)
    y = Z[:, j].copy()
    y[i] = 0
    z = r / np.sqrt(d)
    Z -= np.outer(y, z)
    Z[i] = z
    squares[j] = 0.0
    Z[:, j] = 0
    Z[i, j] = 1
    return np.ascontiguousarray(np.linalg.qr(replaced, mode="r"))


def _inverse_gram(R: numpy.ndarray) -> numpy.ndarray:
    """M = (R^H R)^-1."""
    inverse = np.linalg.inv(R)
    return inverse @ inverse.conj().T


def _squared(X: numpy.ndarray) -> numpy.ndarray:
    """|X|^2 entry by entry, in double precision."""
    if X.dtype.kind == "c":
        return np.square(X.real, dtype=np.float64) + np.square(X.imag, dtype=np.float64)
    return np.square(X, dtype=np.float64)
