"""Real processes, as in ``tests/shell``."""

from __future__ import annotations

from shell.conftest import matrix, shell  # noqa: F401  fixtures
