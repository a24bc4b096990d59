"""How much memory this process may still take, before it is taken."""

from __future__ import annotations

import os
import re
from pathlib import Path

from .errors import ResourceError

#: What stands for no limit at all.
_UNLIMITED = 2**60


def require(need: int, what: str, hint: str) -> None:
    """Raise ResourceError when ``need`` bytes are more than ``available_memory``."""
    have = available_memory()
    if need > have:
        raise ResourceError(
            f"{what} needs {need / 2**30:.1f} GiB of memory, {have / 2**30:.1f} GiB are available", hint=hint
        )


def available_memory() -> int:
    """Bytes this process may still take: the least of what the system, its cgroup and its limits leave."""
    found = [value for value in (_system_memory(), _cgroup_memory(), _address_space()) if value is not None]
    return max(0, min(found, default=_UNLIMITED))


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _system_memory() -> int | None:
    found = re.search(r"MemAvailable:\s+(\d+) kB", _read("/proc/meminfo"))
    if found:
        return int(found[1]) * 1024
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return None


def _cgroup_memory() -> int | None:
    """Limit minus use; the file cache counts as use in a cgroup although it can be dropped, so it is given back."""
    pairs = (
        ("memory.max", "memory.current", "file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "cache"),
    )
    for limit_name, use_name, cache_name in pairs:
        limit, use = _read(f"/sys/fs/cgroup/{limit_name}").strip(), _read(f"/sys/fs/cgroup/{use_name}").strip()
        if limit.isdigit() and use.isdigit():
            stat = _read(f"/sys/fs/cgroup/{limit_name.rpartition('memory.')[0]}memory.stat")
            cache = re.search(rf"^{cache_name} (\d+)$", stat, re.MULTILINE)
            return int(limit) - int(use) + (int(cache[1]) if cache else 0)
    return None


def _address_space() -> int | None:
    try:
        import resource
    except ImportError:
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    pages = _read("/proc/self/statm").split()
    if limit == resource.RLIM_INFINITY or not pages:
        return None
    return limit - int(pages[0]) * os.sysconf("SC_PAGE_SIZE")
