"""The one door to the compiled kernels: loads numba late, caches privately, and says when it pays.

The choice between a compiled kernel and its NumPy twin changes the last bits of a result, so it follows from shapes,
dtypes and options alone, never from what this process happened to load before.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

from ..lazy import np
from .cache import cache_directory

#: Seconds of work that a kernel must save: importing numba and the first dispatch cost about 0.5 s a process.
GATE_SECONDS = 0.6

_lock = threading.Lock()
_state: dict[str, Any] = {"tried": False, "module": None, "on_compile": None, "directory": None, "lost": None}


def pays(seconds_saved: float) -> bool:
    """Whether the estimated saving of compiled kernels over their twins outweighs the start of numba.

    Add the ``seconds_saved`` of every kernel call a run will make: the start is paid once a process.
    """
    return seconds_saved > GATE_SECONDS


def compiled() -> ModuleType | None:
    """The module of compiled kernels, loaded at first use; None when numba is missing, disabled or broken."""
    if not _state["tried"]:
        with _lock:
            if not _state["tried"]:
                _state["module"] = _load()
                _state["tried"] = True
    module: ModuleType | None = _state["module"]
    return module


def flavour(use_compiled: bool) -> str:
    """What runs for ``compiled=use_compiled``: "numba" or "numpy"."""
    return "numba" if use_compiled and compiled() is not None else "numpy"


def cache_path() -> str | None:
    """Where compiled kernels are kept, once loaded; None when they are not kept."""
    path: str | None = _state["directory"]
    return path


def not_kept() -> str | None:
    """Why the next process compiles again what this one has compiled; None when it does not."""
    path, lost = cache_path(), _state["lost"]
    if path is None:
        return "there is no directory that is ours, private and with room for them: set XDG_CACHE_HOME"
    return None if lost is None else f"{path}: {lost.strerror or lost}"


def set_on_compile(hook: Callable[[str], None] | None) -> None:
    """Have ``hook(kernel name)`` called before a kernel is compiled that the cache does not hold."""
    _state["on_compile"] = hook


def frozen(array: Any, dtype: Any = None) -> Any:
    """The array as a kernel input: native, C-ordered, and a read-only view.

    numba compiles anew for every layout and for the read-only flag; one canonical form means one compilation. Copies
    only an array of another order or dtype.
    """
    kept = np.dtype(dtype or array.dtype).newbyteorder("=")
    view = np.ascontiguousarray(array, dtype=kept).view()
    view.flags.writeable = False
    return view


def warm_up() -> list[str]:
    """Compile every kernel for float32 and float64, and for 32- and 64-bit indices; the names, each with its dtypes.

    An empty list when there is no numba. Cost: seconds once, then milliseconds a kernel from the cache.
    """
    if compiled() is None:
        return []
    from .warmup import CALLS

    names: list[str] = []
    for call in CALLS:
        names.extend(call())
    return names


def _load() -> ModuleType | None:
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0") or importlib.util.find_spec("numba") is None:
        return None
    # chosen before numba is loaded; a custom search order of numba's own could leave our directory, so no cache then
    directory = None if os.environ.get("NUMBA_CACHE_LOCATOR_CLASSES") else cache_directory(os.environ)
    try:
        config = importlib.import_module("numba").config
    except Exception:  # a broken installation fails in many ways, and the twins need none of it
        return None
    if config.DISABLE_JIT:
        return None
    before = config.CACHE_DIR
    # numba fixes a kernel's directory when it is decorated; other users of numba in this process keep theirs
    config.CACHE_DIR = directory or ""
    _state["directory"] = directory
    try:
        module = importlib.import_module(".compiled", __package__)
    except Exception:
        return None
    finally:
        config.CACHE_DIR = before
    for name in module.KERNELS:
        _guard(name, getattr(module, name))
    return module


def _guard(name: str, kernel: Any) -> None:
    """Make the kernel survive a damaged or full cache, and announce compilations. What is lost, ``not_kept`` tells."""
    cache = getattr(kernel, "_cache", None)
    if cache is None:
        return
    load, save, flush = cache.load_overload, cache.save_overload, cache.flush

    def load_or_compile(signature: Any, context: Any) -> Any:
        found = None
        try:
            found = load(signature, context)
        except Exception:  # damaged entries unpickle into anything; start the file anew and compile
            _ignore_os_errors(flush)
        if found is None and _state["on_compile"] is not None:
            _state["on_compile"](name)
        return found

    def save_or_not(signature: Any, data: Any) -> None:
        _ignore_os_errors(save, signature, data)

    cache.load_overload, cache.save_overload = load_or_compile, save_or_not


def _ignore_os_errors(call: Callable[..., Any], *values: Any) -> None:
    try:
        call(*values)
    except OSError as error:  # a full or vanished cache costs the next process a compilation, never this one its answer
        _state["lost"] = error
