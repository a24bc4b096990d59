"""Every harness over its corpus and over seeded damage of it; guided by coverage, the same runs by ``make fuzz``."""

from __future__ import annotations

import numpy as np
import pytest

from .mutations import mutated
from .targets import CORPUS, TARGETS, attempt, corpus


def test_every_parser_has_a_corpus_of_a_few_kilobytes():
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
    assert all(sum(map(len, corpus(name))) < 16384 for name in TARGETS)


@pytest.mark.parametrize("count", [300, pytest.param(20_000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
@pytest.mark.parametrize("name", TARGETS)
def test_a_parser_takes_or_refuses_whatever_it_is_given(name, count):
    inputs = corpus(name)
    taken = sum(attempt(name, data) for data in inputs)
    assert taken > 0
    for seed in range(count):
        attempt(name, mutated(inputs[seed % len(inputs)], np.random.default_rng(seed)))
