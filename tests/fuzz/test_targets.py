"""Every harness over its corpus and over seeded damage of it; guided by coverage, the same runs by ``make fuzz``."""

from __future__ import annotations

import numpy as np
import pytest

from .mutations import mutated
from .targets import CORPUS, TARGETS, attempt, corpus


def test_every_parser_has_a_corpus_and_all_of_them_are_small():
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
    sizes = [len(data) for name in TARGETS for part in corpus(name) for data in part]
    assert max(sizes) < 10_000 and sum(sizes) < 150_000


@pytest.mark.parametrize("count", [300, pytest.param(20_000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
@pytest.mark.parametrize("name", TARGETS)
def test_a_parser_takes_or_refuses_whatever_it_is_given(name, count):
    written, found = corpus(name)
    taken = sum(attempt(name, data) for data in written)
    assert taken > 0
    for data in found:
        attempt(name, data)
    for seed in range(count):
        inputs = found if found and seed % 2 else written
        attempt(name, mutated(inputs[seed // 2 % len(inputs)], np.random.default_rng(seed)))
