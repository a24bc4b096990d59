"""Blocks of a basis after the third: no wider than what their products promise, and fresh columns."""

from __future__ import annotations

import gallery
import numpy as np
import pytest

from lowrank_cli.algorithms.bases import FRESH, for_rank, width
from lowrank_cli.algorithms.krylov import BlockKrylov
from lowrank_cli.algorithms.scaling import bring_to_scale, lowered
from lowrank_cli.errors import InputError
from lowrank_cli.matrices.dense import TiledMatrix
from lowrank_cli.matrices.metered import Metered
from lowrank_cli.streams import Streams

M, N, K = 500, 400, 40
SPECTRA = {"1/i": gallery.poly(N), "i^-1/2": gallery.inverse_sqrt(N), "exp": gallery.exponential(N, 0.08)}


def three_blocks(A: np.ndarray) -> BlockKrylov:
    basis = BlockKrylov(Metered(TiledMatrix(A)), Streams(1))
    for count in range(3):
        if count:
            basis.expand(width(K), fused=count < 2)
        else:
            basis.start(width(K), fused=True)
    return basis


@pytest.mark.parametrize("name", SPECTRA)
def test_a_narrower_block_adds_nearly_all_that_a_whole_one_adds(name):
    A, _ = gallery.with_spectrum(M, N, SPECTRA[name], seed=4)

    def captured(narrow: bool) -> tuple[float, int]:
        basis = three_blocks(A)
        before = float(basis.ritz_squares()[:K].sum())
        needed = basis.needed(K) if narrow else None
        taken = basis.last if needed is None else needed.shape[1]
        basis.expand(taken, fused=False, needed=needed)
        return float(basis.ritz_squares()[:K].sum()) - before, taken

    (whole, all_of_it), (some, taken) = captured(False), captured(True)
    assert some >= 0.95 * whole
    assert taken % 16 == 0 and taken <= all_of_it
    assert (taken < all_of_it) == (name != "i^-1/2")


def test_the_fourth_block_where_values_decay_is_narrow_and_has_fresh_columns():
    A, _ = gallery.with_spectrum(M, N, SPECTRA["1/i"], seed=4)
    grown = for_rank(bring_to_scale(Metered(TiledMatrix(A))), K, Streams(1))
    sizes = [size for size, _ in grown.basis.marks]
    assert sizes == [32, 64, 96, 96 + 16 + FRESH]


def test_all_of_a_block_is_asked_for_by_who_says_how_wide_it_is():
    A, _ = gallery.with_spectrum(M, N, SPECTRA["1/i"], seed=4)
    grown = for_rank(bring_to_scale(Metered(TiledMatrix(A))), K, Streams(1), block=32)
    assert [size for size, _ in grown.basis.marks][3] == 96 + 32 + FRESH


@pytest.mark.parametrize("exponent", [0, 30, 200])
@pytest.mark.parametrize("order", ["C", "F"])
def test_tiles_rounded_as_the_matrix_is_swept_are_those_rounded_later(order, exponent):
    A = np.asarray(gallery.with_spectrum(M, N, SPECTRA["1/i"], seed=4)[0] * 2.0**exponent, order=order)
    X = np.random.default_rng(0).standard_normal((N, 24)).astype("float32")
    found = []
    for single in (False, True):
        matrix, exponent_taken = lowered(bring_to_scale(Metered(TiledMatrix(A)), single=single))
        found.append((exponent_taken, matrix.matmat(X).tobytes()))
    assert found[0] == found[1]


def test_an_entry_that_is_not_finite_is_found_where_tiles_are_rounded_too():
    A = gallery.with_spectrum(M, N, SPECTRA["1/i"], seed=4)[0]
    A[7, 9] = np.inf
    with pytest.raises(InputError, match="row 7, column 9"):
        bring_to_scale(Metered(TiledMatrix(A)), single=True)
