"""NumPy and SciPy bring a BLAS each, whose idle threads spin against each other: tests that call both use one thread."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True, scope="module")
def one_blas_thread() -> Iterator[None]:
    with threadpool_limits(1, "blas"):
        yield
