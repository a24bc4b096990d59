"""Sums in a fixed tree: the same bits whoever adds up which part of it."""

from __future__ import annotations

import numpy as np
import pytest

from lowrank_cli.engines.threads import engine_for
from lowrank_cli.matrices.grid import FAN, TreeSum, tree_sum


def summed(parts, level=0):
    tree = TreeSum()
    for part in parts:
        tree.add(part.copy(), level)
    return tree.total()


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 63, 64, 65, 100, 512, 700])
@pytest.mark.parametrize("level", [1, 2])
def test_nodes_added_up_elsewhere_give_the_same_bits(count, level):
    parts = np.random.default_rng(count).standard_normal((count, 3)) * 10.0 ** np.arange(count)[:, None] ** 0.3
    run = FAN**level
    nodes = [summed(parts[first : first + run]) for first in range(0, count, run)]
    assert np.array_equal(summed(nodes, level), summed(parts))


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 5, 64, 200, 300])
def test_threads_do_not_change_a_sum(count, threads):
    parts = np.random.default_rng(count).standard_normal((count, 4))
    found = tree_sum(lambda i: parts[i].copy(), count, engine_for(threads))
    assert np.array_equal(found, summed(parts))


def test_eight_numbers_are_added_in_order_and_then_eight_sums():
    parts = np.random.default_rng(0).standard_normal(70)
    rows = [sum(parts[i + 1 : i + 8], start=parts[i]) for i in range(0, 64, 8)]
    whole = sum(rows[1:], start=rows[0])
    rest = sum(parts[65:70], start=parts[64])
    assert summed(parts.reshape(-1, 1))[0] == whole + rest


def test_a_sum_of_nothing_is_none():
    assert TreeSum().total() is None
    assert tree_sum(lambda i: np.zeros(1), 0, engine_for(1)) is None
