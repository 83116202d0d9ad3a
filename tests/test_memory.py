"""What a worker keeps of the memory that it frees."""

import subprocess
import sys

import pytest

from pipeline import memory, stage_functions
from pipeline.memory import keep_freed_memory
from pipeline.options import JobOptions
from segmentation.templates import load_template

# Takes buffers as large as pages, frees them, and takes them again: are they given anew by the system?
FAULTS = """
import resource, sys
from pipeline.memory import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
import numpy as np
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    held = [np.ones(9_000_000, np.uint8) for _ in range(6)]
    del held
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults(), faults()
print(faults())
"""


def faults(how: str) -> int:
    """Pages of memory that the system gave when the same buffers were taken for the third time."""
    done = subprocess.run([sys.executable, "-c", FAULTS, how], check=True, capture_output=True, text=True)
    return int(done.stdout)


@pytest.mark.skipif(not memory._is_glibc(), reason="not on glibc")
def test_what_is_freed_is_taken_again(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES", "MALLOC_ARENA_MAX"):
        monkeypatch.delenv(name, raising=False)
    assert faults("kept") < 20


@pytest.mark.parametrize(
    "environment",
    [
        {"MALLOC_MMAP_THRESHOLD_": "65536"},
        {"MALLOC_ARENA_MAX": "1"},
        {"GLIBC_TUNABLES": "glibc.malloc.perturb=1"},
    ],
)
def test_whoever_runs_workers_has_the_last_word(environment: dict[str, str]) -> None:
    assert not keep_freed_memory(environment)


def test_other_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> str:
        raise ValueError(f"unrecognized configuration name: {name}")

    monkeypatch.setattr(memory.os, "confstr", unknown)
    assert not keep_freed_memory({})


def test_every_step_of_the_job_sees_to_it_before_its_first_page(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(stage_functions, "keep_freed_memory", lambda: asked.append(True))
    step = stage_functions.StageFn(JobOptions(inputs=("x",), output="o", template=load_template("hsf")))
    step.setup()
    step.teardown()
    assert asked
