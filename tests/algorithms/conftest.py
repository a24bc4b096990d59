"""NumPy and SciPy bring a BLAS each, and idle threads of one slow the other down: here both have one thread."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import scipy.linalg  # noqa: F401  limits reach only what is loaded
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True, scope="module")
def one_blas_thread() -> Iterator[None]:
    with threadpool_limits(1, "blas"):
        yield
