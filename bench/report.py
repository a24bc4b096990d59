"""What every script here takes and says: the common options, the machine, tables in Markdown."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("numpy", "scipy", "h5py", "numba", "scikit-learn", "torch", "fbpca", "librla", "dask")


def arguments(doc: str, rounds: int = 5) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0, help="divide all dimensions by this, to try a script (1)")
    parser.add_argument("--rounds", type=int, default=rounds, help=f"how often each is timed ({rounds})")
    return parser


def machine() -> dict[str, Any]:
    """Versions, processor and date: what a figure is worthless without."""
    import lowrank_cli

    return {
        "date": datetime.date.today().isoformat(),
        "lowrank": lowrank_cli.__version__,
        "python": platform.python_version(),
        "versions": {name: version for name in PACKAGES if (version := _version(name))},
        "blas": _blas(),
        "cpu": _cpu(),
        "cores": cores(),
    }


def headline(facts: dict[str, Any], scale: float = 1.0) -> str:
    trial = "" if scale == 1 else f", a trial at 1/{scale:g} of the size"
    return (
        f"lowrank {facts['lowrank']}, numpy {facts['versions']['numpy']}, {facts['blas']}, {facts['cpu']}, "
        f"{facts['cores']} cores, {facts['date']}{trial}"
    )


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[object]], note: str = "") -> None:
    print(f"\n**{title}**{f': {note}' if note else ''}\n\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |", flush=True)


def figure(x: float) -> str:
    """Three digits, never an exponent for a time."""
    return f"{x:.0f}" if x >= 100 else f"{x:.3g}"


def cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _blas() -> str:
    import numpy.linalg  # noqa: F401  to have its BLAS loaded
    from threadpoolctl import threadpool_info

    for pool in threadpool_info():
        if pool["user_api"] == "blas":
            return (
                f"{pool['internal_api']} {pool['version']} ({pool.get('architecture')}, {pool['num_threads']} threads)"
            )
    return "BLAS unknown"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
