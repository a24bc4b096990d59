"""The example of MATLAB's svdsketch page: gallery('randsvd', 200), condition 1/sqrt(eps), geometric.

Documented there: rank 120 for the default tolerance eps^(1/4), rank 60 with error 0.0048 for 1e-2. The least ranks are
100 and 51, and the least error at rank 60 is 0.00437; a tool that prunes should find those.
"""

from __future__ import annotations

import gallery
import numpy as np
import pytest

import lowrank_cli

EPS = float(np.finfo(float).eps)


@pytest.fixture(scope="module")
def randsvd():
    return gallery.with_spectrum(200, 200, np.logspace(0, np.log10(EPS**0.5), 200), seed=4)[0]


@pytest.mark.parametrize(("rtol", "documented", "least"), [(EPS**0.25, 120, 100), (1e-2, 60, 51)])
def test_the_rank_is_the_least_and_below_the_documented_one(randsvd, rtol, documented, least):
    outcome = lowrank_cli.approx(randsvd, rtol=rtol)
    assert outcome.factor.rank == least < documented
    assert outcome.certificate.relative <= rtol


def test_at_the_documented_rank_the_error_is_below_the_documented_one(randsvd):
    error = lowrank_cli.approx(randsvd, rank=60).certificate.relative
    assert error == pytest.approx(0.00437, abs=5e-6) and error < 0.0048
