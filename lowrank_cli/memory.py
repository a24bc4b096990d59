"""How much memory this process may still take, before it is taken."""

from __future__ import annotations

import contextlib
import math
import os
import re
from collections.abc import Iterator

from . import cgroups
from .errors import ResourceError

#: What stands for no limit at all.
_UNLIMITED = 2**60
#: What ``allow`` was told: a property of the process, as the limits of the system are.
_allowance: int | None = None
#: Among how many at work at the same time what is left is shared out.
_sharers = 1


def require(need: int, what: str, hint: str) -> None:
    """Raise ResourceError when ``need`` bytes are more than ``available_memory``."""
    have = available_memory()
    if need > have:
        raise ResourceError(f"{what} needs {amount(need)} of memory, {amount(have)} are available", hint=hint)


def amount(size: int) -> str:
    """Bytes as messages say them: whole MiB, from 1 GiB on tenths of a GiB."""
    return f"{math.ceil(size / 2**20)} MiB" if size < 1 << 30 else f"{size / 2**30:.1f} GiB"


def allow(total: int | None) -> None:
    """Let this process have so many bytes in all, libraries included; None: what the system leaves.

    Raises ResourceError when it has taken more already.
    """
    global _allowance
    if total is not None and total <= resident():
        raise ResourceError(
            f"--memory {total} is below what the program itself takes, {resident() / 2**20:.0f} MiB",
            hint="allow more memory",
        )
    _allowance = total


@contextlib.contextmanager
def shared_by(count: int) -> Iterator[None]:
    """Inside, ``available_memory`` is the part of each of ``count`` that work at the same time."""
    global _sharers
    before, _sharers = _sharers, count
    try:
        yield
    finally:
        _sharers = before


def available_memory() -> int:
    """Bytes this process may still take: the least of what the system, its cgroup, its limits and ``allow`` leave.
    Where several are at work at the same time, one's part of it."""
    found = [value for value in (_system_memory(), cgroups.memory_left(), _address_space()) if value is not None]
    if _allowance is not None:
        found.append(_allowance - resident())
    return max(0, min(found, default=_UNLIMITED)) // _sharers


def resident() -> int:
    """Bytes this process has in memory; 0 where the system does not say."""
    pages = cgroups.read("/proc/self/statm").split()
    return int(pages[1]) * os.sysconf("SC_PAGE_SIZE") if pages else 0


def _system_memory() -> int | None:
    found = re.search(r"MemAvailable:\s+(\d+) kB", cgroups.read("/proc/meminfo"))
    if found:
        return int(found[1]) * 1024
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return None


def _address_space() -> int | None:
    """What the limits of this process on its address space, and on the private part of it, leave."""
    try:
        import resource
    except ImportError:
        return None
    pages = cgroups.read("/proc/self/statm").split()
    if not pages:
        return None
    left = []
    for kind, used in ((resource.RLIMIT_AS, pages[0]), (resource.RLIMIT_DATA, pages[5])):
        limit = resource.getrlimit(kind)[0]
        if limit != resource.RLIM_INFINITY:
            left.append(limit - int(used) * os.sysconf("SC_PAGE_SIZE"))
    return min(left, default=None)
