"""The memory of a page is kept for the next one."""

import subprocess
import sys
import sysconfig

import pytest

from pipeline.memory import keep_freed_memory

FAULTS = """
import resource, sys
import numpy as np
from pipeline.memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
def page():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    buffers = [np.ones(9_000_000, np.uint8) for _ in range(4)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
page()
print(min(page() for _ in range(4)))
"""


def faults(kept: bool) -> int:
    """How often a later page of four large buffers has to be given memory."""
    command = [sys.executable, "-c", FAULTS, "keep" if kept else "leave"]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif("gnu" not in str(sysconfig.get_config_var("HOST_GNU_TYPE")), reason="needs glibc")
def test_later_pages_need_no_new_memory():
    assert faults(kept=True) < 50 < 200 < faults(kept=False)


def test_what_the_user_has_set_wins(monkeypatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "131072")
    assert not keep_freed_memory()
