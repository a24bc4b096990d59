"""Named random streams: the same name and seed give the same numbers, other names share none."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowrank_cli.errors import UsageError
from lowrank_cli.sketches.gaussian import gaussian
from lowrank_cli.streams import BLOCK_ROWS, STREAM, Streams

#: seeds are 64 bits wide
SEEDS = st.integers(0, 2**64 - 1)
F8 = np.dtype("float64")


def test_the_first_numbers_are_those_of_this_version_of_the_stream():
    """A change of these is a change of every output, and needs another name of the stream."""
    assert STREAM == "philox4x64-sha256-rows4096/1" and BLOCK_ROWS == 4096
    words = Streams(0).generator("sketch").bit_generator.random_raw(2)
    assert [int(w) for w in words] == [int(w) for w in _philox(0, "sketch", 0).random_raw(2)]
    assert [int(w) for w in words] == FIRST


#: Of seed 0, purpose "sketch", block 0: computed once, kept for ever.
FIRST = [5785540205317528363, 10425924538219491290]


def _philox(seed, purpose, block):
    import hashlib

    digest = hashlib.sha256(f"philox4x64-sha256-rows4096/1|{seed}|{purpose}|{block}".encode()).digest()
    return np.random.Philox(key=int.from_bytes(digest[:16], "little"))


@given(SEEDS, st.text(max_size=20), st.integers(0, 10**6))
def test_the_same_seed_purpose_and_block_give_the_same_numbers(seed, purpose, block):
    one = Streams(seed).generator(purpose, block).standard_normal(8)
    assert np.array_equal(one, Streams(seed).generator(purpose, block).standard_normal(8))


def test_purposes_seeds_and_blocks_share_no_numbers():
    names = list(itertools.product((0, 1, 2**64 - 1), ("sketch", "probe", "sketch/re", "cr probe"), (0, 1, 2)))
    drawn = np.stack([Streams(s).generator(p, b).standard_normal(2000) for s, p, b in names])
    assert len(np.unique(drawn)) == drawn.size
    correlations = np.corrcoef(drawn) - np.eye(len(names))
    # of 630 pairs the largest of independent ones is about 3.2 / sqrt(2000)
    assert np.abs(correlations).max() <= 5 / np.sqrt(2000)


def test_names_that_run_into_each_other_are_still_apart():
    """Seed 1, purpose "2" is not seed 12, purpose ""; a bar inside a purpose does not make it another block."""
    numbers = {
        float(Streams(seed).generator(purpose, block).random())
        for seed, purpose, block in [(1, "2", 0), (12, "", 0), (1, "", 20), (1, "2", 1), (1, "|2", 0), (1, "2|1", 1)]
    }
    assert len(numbers) == 6


@pytest.mark.parametrize("seed", [-1, 2**64, 1.0, "0", True, None])
def test_a_seed_outside_64_bits_is_refused(seed):
    with pytest.raises(UsageError, match="seed") as refused:
        Streams(seed)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("seed", [0, 1, 2**63, 2**64 - 1])
def test_every_seed_of_64_bits_is_taken(seed):
    assert Streams(seed).generator("x").random() < 1


# Gaussian sketches


@given(
    st.integers(1, 40), st.integers(0, 40), st.sampled_from(["float32", "float64", "complex64", "complex128"]), SEEDS
)
def test_a_wider_sketch_extends_a_narrower_one(l, more, dtype, seed):
    narrow = gaussian(Streams(seed), "sketch", 50, l, np.dtype(dtype))
    wide = gaussian(Streams(seed), "sketch", 50, l + more, np.dtype(dtype))
    assert narrow.dtype == dtype and np.array_equal(wide[:, :l], narrow)


def test_a_taller_sketch_keeps_its_whole_blocks_of_rows():
    short = gaussian(Streams(3), "sketch", BLOCK_ROWS, 5, F8)
    tall = gaussian(Streams(3), "sketch", 2 * BLOCK_ROWS + 17, 5, F8)
    assert np.array_equal(tall[:BLOCK_ROWS], short)
    assert not np.array_equal(tall[BLOCK_ROWS : 2 * BLOCK_ROWS], short)


def test_a_block_of_rows_is_its_own_generator():
    tall = gaussian(Streams(3), "sketch", BLOCK_ROWS + 100, 4, F8)
    alone = Streams(3).generator("sketch", 1).standard_normal((4, 100)).T
    assert np.array_equal(tall[BLOCK_ROWS:], alone)


def test_single_precision_is_double_precision_rounded():
    wide = gaussian(Streams(1), "sketch", 300, 7, F8)
    assert np.array_equal(gaussian(Streams(1), "sketch", 300, 7, np.dtype("float32")), wide.astype("float32"))


@pytest.mark.parametrize("dtype", ["float64", "float32", "complex128", "complex64"])
def test_entries_are_standard_normal(dtype):
    """Mean, variance and fourth moment within five standard errors."""
    G = gaussian(Streams(5), "sketch", 5000, 40, np.dtype(dtype)).ravel()
    n = G.size
    assert abs(G.mean()) <= 5 / np.sqrt(n)
    assert abs(np.mean(np.abs(G) ** 2) - 1) <= 5 * np.sqrt(2 / n)
    if G.dtype.kind == "c":
        assert abs(np.mean(G**2)) <= 5 * np.sqrt(2 / n)
        assert abs(np.mean(np.abs(G) ** 4) - 2) <= 5 * np.sqrt(20 / n)
    else:
        assert abs(np.mean(G.astype("float64") ** 4) - 3) <= 5 * np.sqrt(96 / n)
