"""Ritz values of a tall matrix from the short side: those of the long side, wherever rounding lets them be."""

from __future__ import annotations

import gallery
import numpy as np
import pytest

from lowrank_cli.algorithms.krylov import BlockKrylov
from lowrank_cli.matrices.dense import TiledMatrix
from lowrank_cli.matrices.metered import Metered
from lowrank_cli.streams import Streams

M, N = 700, 120


def grown(A: np.ndarray, short: bool, fused: bool) -> BlockKrylov:
    basis = BlockKrylov(Metered(TiledMatrix(A)), Streams(4), short=short)
    basis.start(16, fused)
    for more in (16, 16, 24):
        basis.expand(more, fused)
    return basis


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
@pytest.mark.parametrize("spectrum", ["flat", "steep"])
def test_squared_ritz_values_of_the_short_side_are_those_of_the_long_side(spectrum, dtype, fused):
    s = np.linspace(1, 0.3, N) if spectrum == "flat" else gallery.exponential(N, 0.7)
    A = gallery.with_spectrum(M, N, s, seed=2)[0].astype(dtype)
    basis = grown(A, True, fused)
    W = np.hstack(basis.W.blocks).astype("complex128")
    values, T = basis.ritz()
    assert np.abs(T.conj().T @ (W.conj().T @ W) @ T - np.diag(values)).max() <= 2 * basis.blur()
    # where single precision would hide the least of them they are of the long side, in double precision
    fine = dtype == "float64" or spectrum == "steep"
    assert (basis.blur() < 1e-12 * values[0]) == fine


def test_the_first_blocks_of_a_basis_have_the_bits_of_a_basis_of_so_many():
    A = gallery.with_spectrum(M, N, gallery.exponential(N, 0.1), seed=2)[0].astype("float32")
    whole = grown(A, True, False)
    whole.ritz()
    assert len(whole.marks) == 4
    first = whole.prefix(2, whole.matrix)
    alone = BlockKrylov(Metered(TiledMatrix(A)), Streams(4), short=True)
    alone.start(16, False)
    alone.expand(16, False)
    assert first.ritz()[0].tobytes() == alone.ritz()[0].tobytes()
    first.expand(16, False)
    alone.expand(16, False)
    assert first.ritz()[0].tobytes() == alone.ritz()[0].tobytes()
