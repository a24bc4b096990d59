"""What this installation and this machine can do: versions, BLAS, threads, memory, cache, extras, limits."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .. import __version__
from ..engines.blas import libraries
from ..engines.threads import available_threads
from ..kernels import jit
from ..kernels.cache import cache_directory
from ..lazy import np
from ..matrices.dense import TiledMatrix
from ..memory import available_memory
from ..reports.facts import started

DISTRIBUTION = "lowrank-cli"
#: Below it malformed files are known to crash the library: CVE-2026-26200, fixed in 1.14.4.
SAFE_HDF5 = (1, 14, 4)
#: Temporary files of pipes and large outputs go there; below this much space they will not fit.
_LEAST_SPACE = 1 << 30
_DISTRUSTED = {
    "PYTHONDONTWRITEBYTECODE": "every start compiles all modules anew",
    "NUMBA_DISABLE_JIT": "the NumPy twins of the kernels run",
    "NUMBA_CACHE_LOCATOR_CLASSES": "compiled kernels are not kept",
    "OPENBLAS_CORETYPE": "bits are those of another CPU type",
}


def doctor(environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """The report of ``lowrank doctor``: ``checks``, each with name, value, note and state "ok", "warning" or "broken";
    ``healthy`` when none is broken.

    Nothing raises: what cannot be found out is a check with a note. Cost: every dependency is loaded, a second.
    """
    checks: list[dict[str, str]] = []
    for part in (
        _program,
        _dependencies,
        _hdf5,
        _blas,
        _lapack,
        _bits,
        _kernels,
        _machine,
        _places,
        _limits,
        _environment,
    ):
        try:
            checks.extend(_check(*found) for found in part(environ))
        except Exception as failure:
            name = part.__name__.strip("_")
            checks.append(_check(name, "not known", f"{type(failure).__name__}: {failure}", "broken"))
    checks.extend(_check(*found) for found in _extras())
    healthy = all(check["state"] != "broken" for check in checks)
    return {**started("doctor"), "healthy": healthy, "checks": checks}


Found = tuple[str, str] | tuple[str, str, str] | tuple[str, str, str, str]


def _check(name: str, value: str, note: str = "", state: str = "ok") -> dict[str, str]:
    return {"name": name, "value": value, "note": note, "state": state}


def _program(_: Mapping[str, str]) -> Iterator[Found]:
    yield "lowrank", __version__, os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    yield "python", platform.python_version(), f"{platform.python_implementation()}, {sys.executable}"
    yield "system", f"{platform.system()} {platform.release()}", platform.machine()


def requirements(extra: str | None = None) -> list[tuple[str, str, str]]:
    """(package, least version, version it must be below) of the core, or of an extra; "" where there is no limit."""
    found = []
    for line in importlib.metadata.requires(DISTRIBUTION) or []:
        package, _, marker = line.partition(";")
        wanted = re.search(r"extra == ['\"]([^'\"]+)", marker)
        if (wanted[1] if wanted else None) != extra:
            continue
        name = re.match(r"[A-Za-z0-9._-]+", package)
        least, below = re.search(r">=\s*([\w.]+)", package), re.search(r"<\s*([\w.]+)", package)
        if name is not None:
            found.append((name[0], least[1] if least else "", below[1] if below else ""))
    return found


def numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: (1, 14, 4) of "1.14.4rc1"."""
    leading = re.match(r"[\d.]*", version)
    return tuple(int(part) for part in (leading[0] if leading else "").split(".") if part)


def _dependencies(_: Mapping[str, str]) -> Iterator[Found]:
    for package, least, below in requirements():
        try:
            importlib.import_module(package.replace("-", "_"))
            version = importlib.metadata.version(package)
        except Exception as failure:
            reason = f"{type(failure).__name__}: {failure}"
            # without numba the NumPy twins of its kernels run
            yield package, "cannot be loaded", reason, "warning" if package == "numba" else "broken"
            continue
        if least and numbers(version) < numbers(least):
            yield package, version, f"older than {least}, the oldest that is known to work", "broken"
        elif below and numbers(version) >= numbers(below):
            yield package, version, f"newer than all that were tried, which are below {below}", "warning"
        else:
            yield package, version


def _hdf5(_: Mapping[str, str]) -> Iterator[Found]:
    import h5py

    version = h5py.version.hdf5_version
    if numbers(version) < SAFE_HDF5:
        least = ".".join(map(str, SAFE_HDF5))
        yield "HDF5", version, f"older than {least}: do not open HDF5 files of strangers", "warning"
    else:
        yield "HDF5", version


def _blas(_: Mapping[str, str]) -> Iterator[Found]:
    import scipy.linalg  # noqa: F401  SciPy brings a BLAS of its own, seen once it is loaded

    for found in libraries():
        kind = " ".join(filter(None, (found["internal_api"], found["version"], found.get("architecture"))))
        yield "BLAS", kind, os.path.basename(found["filepath"])


def _lapack(_: Mapping[str, str]) -> Iterator[Found]:
    """Whether the library's SVD of a matrix with known singular values is right; libraries have returned garbage."""
    m, n = 96, 64
    rows, cols = np.arange(m)[:, None] + 0.5, np.arange(n)[:, None] + 0.5
    U, V = np.cos(np.pi * rows * np.arange(n) / m), np.cos(np.pi * cols * np.arange(n) / n)
    known = 0.8 ** np.arange(n)
    A = (U / np.linalg.norm(U, axis=0)) * known @ (V / np.linalg.norm(V, axis=0)).T
    off = float(np.abs(np.linalg.svd(A, compute_uv=False) - known).max())
    if off <= 30 * m * float(np.finfo(np.float64).eps):
        yield "LAPACK", "right", f"singular values of a known matrix, off by {off:.1g}"
    else:
        hint = "another BLAS, or another number of its kernels (OPENBLAS_CORETYPE), may do better"
        yield "LAPACK", "WRONG", f"singular values of a known matrix are off by {off:.2g}: {hint}", "broken"


def _bits(_: Mapping[str, str]) -> Iterator[Found]:
    """Whether products come out the same by rows and by columns; those of OpenBLAS before 0.3.29 do not."""
    A = np.cos(np.arange(780.0 * 790)).reshape(780, 790)
    X = np.sin(np.arange(790.0 * 64)).reshape(790, 64)
    by_rows, by_cols = TiledMatrix(A), TiledMatrix(np.asfortranarray(A))
    same = all(np.array_equal(by_rows.matmat(X[:, :w]), by_cols.matmat(X[:, :w])) for w in (1, 5, 64))
    same = same and np.array_equal(by_rows.rmatmat(A[:, :64]), by_cols.rmatmat(A[:, :64]))
    if same:
        yield "bits", "the same", "of products, however a matrix is stored"
    else:
        yield "bits", "DIFFER", "this BLAS rounds differently by storage order; use the NumPy of a wheel", "warning"


def _kernels(environ: Mapping[str, str]) -> Iterator[Found]:
    if jit.compiled() is None:
        yield "kernels", "not compiled", "numba cannot be used here; the NumPy twins of the kernels run", "warning"
        return
    directory = cache_directory(environ)
    if directory is None:
        why = "no directory that is ours, private and with room: set XDG_CACHE_HOME, or each run compiles anew"
        yield "kernel cache", "none", why, "warning"
    else:
        yield "kernel cache", directory


def _machine(_: Mapping[str, str]) -> Iterator[Found]:
    cores = available_threads()
    yield "cores", str(cores), f"that we may run on, of {os.cpu_count()}"
    yield "free memory", f"{available_memory() / 2**30:.1f} GiB", "the least of what system, container and limits leave"


def _places(_: Mapping[str, str]) -> Iterator[Found]:
    try:
        folder = tempfile.gettempdir()
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as failure:
        yield "temporary files", "none", f"{failure}: pipes of HDF5 and .npz need TMPDIR", "warning"
        return
    free = shutil.disk_usage(folder).free
    state = "ok" if free >= _LEAST_SPACE else "warning"
    yield "temporary files", folder, f"{free / 2**30:.1f} GiB free", state


def _limits(_: Mapping[str, str]) -> Iterator[Found]:
    try:
        import resource
    except ImportError:
        return
    names = {"address space": "RLIMIT_AS", "file size": "RLIMIT_FSIZE", "CPU time": "RLIMIT_CPU"}
    for name, attribute in names.items():
        limit = resource.getrlimit(getattr(resource, attribute))[0]
        if limit != resource.RLIM_INFINITY:
            unit = "seconds" if name == "CPU time" else "bytes"
            yield f"limit of {name}", f"{limit} {unit}", "set by ulimit or the system", "warning"
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    yield "open files", str(files), "" if files >= 64 else "few: ulimit -n 1024", "ok" if files >= 64 else "warning"


def _environment(environ: Mapping[str, str]) -> Iterator[Found]:
    for name, effect in _DISTRUSTED.items():
        if environ.get(name, "") not in ("", "0"):
            yield name, environ[name], effect, "warning"
    given = environ.get("NUMBA_CACHE_DIR")
    if given and cache_directory(environ) != given:
        yield "NUMBA_CACHE_DIR", given, "not used: it must be ours, closed to others (mode 0700), with room", "warning"
    if sys.flags.optimize:
        yield "python -O", str(sys.flags.optimize), "has no effect: no check is an assert"


def _extras(version: Callable[[str], str] = importlib.metadata.version) -> Iterator[Found]:
    """Optional libraries: those that are there, and what installs the others."""
    names = importlib.metadata.metadata(DISTRIBUTION).get_all("Provides-Extra") or []
    for extra in names:
        if extra in ("all", "dev", "bench", "fuzz"):
            continue
        have, missing = [], []
        for package, _, _ in requirements(extra):
            try:
                have.append(f"{package} {version(package)}")
            except importlib.metadata.PackageNotFoundError:
                missing.append(package)
        if missing:
            yield f"extra {extra}", "not installed", f"pip install '{DISTRIBUTION}[{extra}]'"
        else:
            yield f"extra {extra}", ", ".join(have)
