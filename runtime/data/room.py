"""What the machine, or the container around this process, has to offer. Torch-free."""

from __future__ import annotations

import os
from pathlib import Path

CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    ),
)
"""A container's limit and its use, in the second and the first edition of control groups."""


def available_memory() -> int:
    """Bytes that can be taken without swapping, as far as the system tells."""
    left = [room for limit, used in CGROUPS if (room := _container_room(limit, used)) is not None]
    return min([_machine_room(), *left])


def cores() -> int:
    """How many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _machine_room() -> int:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        amounts = dict(line.split(":", 1) for line in lines)
        return int(amounts["MemAvailable"].split()[0]) << 10
    except (OSError, KeyError, ValueError):  # not Linux
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _container_room(limit: str, used: str) -> int | None:
    try:
        most, taken = (int(Path(path).read_text(encoding="ascii")) for path in (limit, used))
    except (OSError, ValueError):  # no such group, or the limit is the word `max`
        return None
    return max(0, most - taken)
