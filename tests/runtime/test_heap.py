"""glibc's heap, as training on a CPU sets it."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROBE = """
import resource, sys
from netwright.runtime.heap import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def step():
    blocks = [bytearray(40 << 20) for _ in range(3)]
step()
before = faults()
for _ in range(10):
    step()
print(faults() - before)
"""


def faults(how: str) -> int:
    found = subprocess.run(
        [sys.executable, "-c", PROBE, how], capture_output=True, text=True, check=True
    )
    return int(found.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_freed_memory_is_kept() -> None:
    """1.2 GB in blocks that are freed again are 300,000 pages; kept ones are never new."""
    assert faults("given back") > 100_000
    assert faults("kept") < 10_000
