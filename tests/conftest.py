"""What every test may rely on: a quiet terminal of known width, Hypothesis profiles, and the real matrices."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

# Before NumPy is loaded: threads of the BLAS that wait for work take the cores from the tests beside them.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import gallery
import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from lowrank_cli.engines.cluster import Cluster

# Before any test imports the command: what it prints must not depend on who runs the tests and where.
os.environ["NO_COLOR"] = "1"
os.environ["COLUMNS"] = "80"
os.environ["LC_ALL"] = "C.UTF-8"
os.environ.pop("FORCE_COLOR", None)
# Every process of the command, and a test starts some, would compile all of its modules again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# A shell starts jobs in the background with interrupts ignored, and so would be every process that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_QUIET = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
settings.register_profile("dev", deadline=None, max_examples=25, suppress_health_check=_QUIET)
settings.register_profile("ci", deadline=None, max_examples=50, derandomize=True, suppress_health_check=_QUIET)
settings.register_profile("nightly", deadline=None, max_examples=5000, suppress_health_check=_QUIET)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))


def pytest_configure(config: pytest.Config) -> None:
    """Leave the slow tests out unless -m says otherwise."""
    if not config.option.markexpr:
        config.option.markexpr = "not slow"


@pytest.fixture
def data() -> Callable[[str], Path]:
    """data(name) is the path of a real matrix; see ``gallery.real`` for what happens when it is missing."""
    return gallery.real


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Two workers of this machine, started when the first test asks for them."""
    from lowrank_cli.engines.cluster import local

    with local(2, 4 << 30) as found:
        yield found
