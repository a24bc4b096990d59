"""The sums that later passes compare: no change of a word is missed, nor words that change places."""

from __future__ import annotations

import numpy as np
import pytest

from lowrank_cli.matrices.sums import word_sum

RNG = np.random.default_rng(3)
TILES = {
    "float64": RNG.standard_normal((37, 41)),
    "float32": RNG.standard_normal((37, 41)).astype(np.float32),
    "complex128": RNG.standard_normal((20, 21)) + 1j,
    "complex64": (RNG.standard_normal((20, 21)) + 1j).astype(np.complex64),
    "columns": np.asfortranarray(RNG.standard_normal((37, 41))),
    "part": RNG.standard_normal((60, 90))[5:42, 7:48],
    "a row": RNG.standard_normal((1, 90)),
    "a column": RNG.standard_normal((90, 3))[:, 1:2],
}


@pytest.mark.parametrize("tile", TILES.values(), ids=TILES)
def test_every_single_bit_that_changes_is_found(tile):
    before, lines = word_sum(tile), tile if tile.flags.c_contiguous else tile.copy(order="K")
    assert word_sum(lines) == before
    stored = (lines if lines.flags.c_contiguous else lines.T).view(np.uint8).reshape(-1)
    for place in RNG.permutation(len(stored))[:300]:
        for bit in (1, 128):
            stored[place] ^= bit
            assert word_sum(lines) != before
            stored[place] ^= bit
    assert word_sum(lines) == before


@pytest.mark.parametrize("tile", TILES.values(), ids=TILES)
def test_entries_rows_and_columns_that_change_places_are_found(tile):
    """Of sums that say nothing about it one in 2^32 would be missed."""
    before = word_sum(tile)
    for axis in (0, 1):
        turned = np.roll(tile, 1, axis)
        assert tile.shape[axis] == 1 or word_sum(np.asarray(turned, order="A")) != before
    for _ in range(200):
        changed = tile.copy(order="K")
        (i, j), (k, r) = (RNG.integers(0, tile.shape) for _ in range(2))
        changed[i, j], changed[k, r] = tile[k, r], tile[i, j]
        assert (i, j) == (k, r) or word_sum(changed) != before


def test_the_same_entry_changed_alike_in_two_rows_or_columns_is_found():
    tile = np.zeros((512, 512))
    before, words = word_sum(tile), tile.view(np.uint64)
    words[3, 7], words[5, 7] = 1, 2**64 - 1
    assert word_sum(tile) != before
    words[5, 7], words[3, 8] = 0, 2**64 - 1
    assert word_sum(tile) != before
