"""Better columns by exchanging some: until coefficients are small, or while the error falls."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..certificates.residual import EXPANDED
from ..errors import NumericalError
from ..factors.base import dense
from ..kernels import exchange as kernel
from ..kernels import interpolation, pivoting
from ..lazy import np
from ..matrices.adjoint import Adjoint
from ..matrices.blocks import gram
from ..matrices.metered import Metered
from .id_selection import Selection, least_squares

if TYPE_CHECKING:
    import numpy

#: Columns whose products with what is left of A are made in one pass.
BLOCK = 64
#: An exchange must lower the squared error by this share of it.
_WORTH = 3e-5
#: Passes that exchanges for the error may take.
_PASSES = 24
#: What rounding of coefficients may exceed a limit by, in units of k eps.
_SLACK = 64.0


@dataclasses.dataclass(eq=False)
class _State:
    """Columns J = pivots, and what ``kernels.exchange`` holds of their interpolation."""

    pivots: numpy.ndarray
    Z: numpy.ndarray
    R: numpy.ndarray
    squares: numpy.ndarray


def limit_coefficients(image: Metered | Adjoint, pivots: numpy.ndarray, f: float) -> tuple[Selection, int]:
    """Columns as many as pivots whose least squares coefficients are at most f in modulus, and the exchanges it took.

    While some rho_ij of ``kernels.exchange`` exceeds f the column with the largest takes the place of i; rho_ij >=
    |Z_ij|, and the volume of the columns grows by the factor f or more each time, so this ends (Gu and Eisenstat 1996,
    Algorithm 4, on the interpolation instead of the factor). Where it does, s_j(E)^2 <= (1 + f^2 k (n - k))
    s_{k+j}(A)^2. The coefficients are then made anew, from the columns, and looked at again. What is promised of them
    holds to rounding, f (1 + 64 k eps). Raises NumericalError after 20 k + 100 exchanges. Cost: two passes, two more
    at the end, and one for the columns of every few exchanges.
    """
    k, most, done = len(pivots), 20 * len(pivots) + 100, 0
    eps = float(np.finfo(image.dtype).eps)
    limit = f * (1 + _SLACK * k * eps)
    while True:
        chosen, Z = _interpolation(image, pivots)
        state = _state(image, chosen, Z)
        count = _enlarge(image, state, limit, most - done)
        if not count:
            if float(np.abs(Z).max(initial=0.0)) <= limit:
                return chosen, done
            raise NumericalError(
                f"coefficients of at most {f:g} were not found in {done} exchanges",
                hint="raise --max-coefficient, or lower the rank",
            )
        done += count
        pivots = ordered(image, state.pivots)


def lower_error(image: Metered | Adjoint, chosen: Sequence[Selection]) -> tuple[Selection, int]:
    """The best of some selections after exchanges that each lower its least squares error, and how many there were.

    Of the columns that stand out most from what is chosen a block is looked at in one pass, each with every place it
    could take, and the best exchange made until none is worth while. Cost: a pass for each selection, one for every
    block, two at the end; 2 k n flops an exchange for every column of the block.
    """
    states = [_state(image, one, interpolation.coefficients(one.B, one.pivots)) for one in chosen if len(one.pivots)]
    if not states:
        return chosen[0], 0
    state = min(states, key=lambda state: float(state.squares.sum()))
    start = next(one for one in chosen if np.array_equal(one.pivots, state.pivots))
    k, before = len(state.pivots), float(state.squares.sum())
    noise = k * float(np.finfo(image.dtype).eps) ** 2 * float(start.gains.sum())
    done, going = 0, True
    for _ in range(_PASSES):
        of = _outstanding(state.squares)
        if not going or not len(of) or state.squares.sum() <= noise:
            break
        made, going = _improve(state, _products(image, state, of), of)
        done += made
        going = going and made > 0
    if not done:
        return start, 0
    found, Z = _interpolation(image, ordered(image, state.pivots))
    # where columns are dependent to rounding updates may go astray
    return (found, done) if float(_state(image, found, Z).squares.sum()) < before else (start, 0)


def _improve(state: _State, block: numpy.ndarray, of: numpy.ndarray) -> tuple[int, bool]:
    """Exchanges among the columns of a block while they lower the error; how many, and whether rounding allows more."""
    for done in range(BLOCK):
        changes = kernel.error_changes(state.Z, state.R, state.squares, block, of)
        changes[:, np.isin(of, state.pivots)] = 0
        i, c = np.unravel_index(int(np.argmin(changes)), changes.shape)
        before, pivots = float(state.squares.sum()), state.pivots.copy()
        if not changes[i, c] < -_WORTH * before:
            return done, True
        _swap(state, block, of, int(i), int(c))
        if not state.squares.sum() < before:
            state.pivots = pivots
            return done, False
    return BLOCK, True


def _interpolation(image: Metered | Adjoint, pivots: numpy.ndarray) -> tuple[Selection, numpy.ndarray]:
    chosen = least_squares(image, pivots, compiled=False)
    return chosen, interpolation.coefficients(chosen.B, pivots)


def _state(image: Metered | Adjoint, chosen: Selection, Z: numpy.ndarray) -> _State:
    wide = np.result_type(image.dtype, np.float64)
    R = np.ascontiguousarray(chosen.B[:, chosen.pivots]).astype(wide)
    squares = residual_squares(image, np.ascontiguousarray(dense(image.cols(chosen.pivots))), Z)
    squares[chosen.pivots] = 0
    return _State(chosen.pivots.copy(), Z.astype(wide), R, squares)


def _enlarge(image: Metered | Adjoint, state: _State, limit: float, most: int) -> int:
    """Exchanges, at most so many, until no volume grows by more than ``limit``; how many were made."""
    done = 0
    while done < most:
        ratios = kernel.volume_ratios(state.Z, state.R, state.squares)
        ratios[:, state.pivots] = 0
        best = ratios.max(axis=0)
        if not best.max(initial=0.0) > limit**2:
            break
        of = np.sort(np.argsort(-best, kind="stable")[:BLOCK])
        block = _products(image, state, of)
        while done < most:
            some = kernel.volume_ratios(state.Z[:, of], state.R, state.squares[of])
            some[:, np.isin(of, state.pivots)] = 0
            i, c = np.unravel_index(int(np.argmax(some)), some.shape)
            if not some[i, c] > limit**2:
                break
            _swap(state, block, of, int(i), int(c))
            done += 1
    return done


def _swap(state: _State, block: numpy.ndarray, of: numpy.ndarray, i: int, c: int) -> None:
    state.R = kernel.exchange(state.Z, state.R, state.squares, block, of, i, c)
    state.pivots[i] = of[c]


def _outstanding(squares: numpy.ndarray) -> numpy.ndarray:
    """The columns of largest residual, in the order they stand."""
    first = np.argsort(-squares, kind="stable")[:BLOCK]
    return np.sort(first[squares[first] > 0])


def _products(image: Metered | Adjoint, state: _State, of: numpy.ndarray) -> numpy.ndarray:
    """E^H E_c for the columns c of ``of``: one pass. E_c is orthogonal to the chosen columns, so A^H does for E^H."""
    columns = dense(image.cols(np.concatenate([of, state.pivots])))
    columns = np.ascontiguousarray(columns, dtype=state.Z.dtype)
    own, basis = columns[:, : len(of)], np.ascontiguousarray(columns[:, len(of) :])
    left = own - basis @ np.ascontiguousarray(state.Z[:, of])
    Q = np.ascontiguousarray(np.linalg.qr(basis)[0])
    left -= Q @ (Q.conj().T @ left)
    return np.ascontiguousarray(image.rmatmat(np.ascontiguousarray(left)))


def ordered(image: Metered | Adjoint, pivots: numpy.ndarray) -> numpy.ndarray:
    """The same columns, those first that say most; without those that are combinations of others to rounding."""
    columns = np.ascontiguousarray(dense(image.cols(np.sort(pivots))))
    order = pivoting.pivoted_qr(columns, len(pivots)).pivots
    return np.sort(pivots)[order]


def residual_squares(image: Metered | Adjoint, L: numpy.ndarray, R: numpy.ndarray) -> numpy.ndarray:
    """Squared column norms of A - L R, float64: one pass, 2 m n k flops.

    Of a sparse matrix too large to be visited entry by entry: |a_j|^2 - 2 Re a_j^H L r_j + |L r_j|^2, which the
    rounding of the first term limits from below; two passes.
    """
    m, n = image.shape
    if image.nnz is not None and m * n > EXPANDED:
        return _differences(image, L, R)

    def visit(_: int, rows: slice, cols: slice, tile: numpy.ndarray) -> tuple[slice, numpy.ndarray]:
        left = np.ascontiguousarray(tile) - np.ascontiguousarray(L[rows]) @ np.ascontiguousarray(R[:, cols])
        return cols, np.square(np.abs(left), dtype=np.float64).sum(axis=0)

    squares = np.zeros(n)
    for cols, part in image.tiles(visit, flops=2 * m * n * (len(R) + 1)):
        squares[cols] += part
    return squares


def _differences(image: Metered | Adjoint, L: numpy.ndarray, R: numpy.ndarray) -> numpy.ndarray:
    across = isinstance(image, Adjoint)
    facts = (image.inner if isinstance(image, Adjoint) else image).sweep(transposed=across)
    mixed = np.einsum("jk,kj->j", image.rmatmat(L).conj(), R).real
    own = np.einsum("kj,kj->j", R.conj(), gram(L, image.engine) @ R).real
    return np.maximum(np.ldexp(facts.column_squares, 2 * facts.exponent) - 2 * mixed + own, 0.0)
