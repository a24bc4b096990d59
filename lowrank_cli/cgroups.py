"""What the control groups of Linux leave this process, of version 1 and 2: memory, and processors.

A limit of any group above holds too, so every group from that of the process up to the root that can be seen is asked.
Where they are mounted is what /proc says: inside a container the groups of the host are not visible, and the root is
the container's own.
"""

from __future__ import annotations

import functools
import math
import re
from pathlib import Path, PurePosixPath

#: Of both versions: the limit, the use, and the counts of the file cache, which is dropped when memory is wanted.
_MEMORY = (
    ("memory.max", "memory.current", ("inactive_file", "active_file")),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file")),
)
#: Where to look; a test looks elsewhere.
PROC = "/proc/self"


def memory_left() -> int | None:
    """Bytes that the groups still admit, the cache that can be dropped counted as free; None without a limit."""
    left = []
    for group in _groups(PROC, "memory"):
        for limit_name, use_name, cached in _MEMORY:
            limit, use = read(group / limit_name).strip(), read(group / use_name).strip()
            if limit.isdigit() and use.isdigit():
                counts = re.findall(rf"^(?:{'|'.join(cached)}) (\d+)$", read(group / "memory.stat"), re.MULTILINE)
                left.append(int(limit) - int(use) + sum(map(int, counts)))
    return min(left, default=None)


def processors() -> int | None:
    """Processors whose time the groups grant, a part of one counted whole; None without a limit."""
    granted = []
    for group in _groups(PROC, "cpu"):
        quota, _, period = read(group / "cpu.max").strip().partition(" ")
        if not quota:
            quota, period = (read(group / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period"))
        if quota.isdigit() and period.isdigit() and int(period):
            granted.append(max(1, math.ceil(int(quota) / int(period))))
    return min(granted, default=None)


def read(path: str | Path) -> str:
    """A small file of the system; nothing where it is not to be read."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError):
        return ""


@functools.cache
def _groups(proc: str, controller: str) -> tuple[Path, ...]:
    """The folders of the groups that this process is in, from its own upwards, in every hierarchy that may limit it."""
    own = {}
    for line in read(f"{proc}/cgroup").splitlines():
        _, names, path = line.split(":", 2)
        own.update(dict.fromkeys(names.split(","), path))
    found: list[Path] = []
    for line in read(f"{proc}/mountinfo").splitlines():
        place, _, kind = line.partition(" - ")
        root, mounted = (_unescaped(field) for field in place.split()[3:5])
        version, _, options = kind.split(" ", 2)
        # version 2 has one hierarchy, whose name is empty
        name = {"cgroup": controller, "cgroup2": ""}.get(version)
        if name in own and (not name or name in options.split()[-1].split(",")):
            inner = PurePosixPath(own[name])
            below = inner.relative_to(root) if inner.is_relative_to(root) and ".." not in inner.parts else "."
            top = Path(mounted)
            group = top / below
            found += [group, *(above for above in group.parents if above.is_relative_to(top))]
    return tuple(found)


def _unescaped(field: str) -> str:
    """A path of mountinfo, in which blanks are written in octal."""
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), field)
