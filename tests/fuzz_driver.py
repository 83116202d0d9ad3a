"""Runs ``fuzz_reader.py`` over many files and starts it anew after each one that ends it."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

READER = Path(__file__).resolve().parent / "fuzz_reader.py"
WALL_SECONDS = 900  # for a file that waits without using the processor, on a machine that does much else


@dataclass(frozen=True)
class Result:
    """What became of one file: codes of its pages, processor seconds, peak memory until then."""

    index: int
    found: tuple[str, ...]
    seconds: float
    peak_mb: float


def read_fuzzed(seed: int, start: int, stop: int) -> list[Result]:
    """Reads files ``start`` to ``stop``; of one that ends its process ``ended by N`` is found."""
    results: list[Result] = []
    environment = os.environ | {"PYTHONPATH": str(READER.parent.parent)}
    while start < stop:
        words = [sys.executable, str(READER), str(seed), str(start), str(stop)]
        process = subprocess.Popen(
            words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        begun = start
        try:
            out, _ = process.communicate(timeout=WALL_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            out, _ = process.communicate()
        for line in out.splitlines():
            told = json.loads(line)
            begun = told.get("begin", begun)
            if "end" in told:
                results.append(Result(told["end"], tuple(told["found"]), told["seconds"], told["peak_mb"]))
                start = told["end"] + 1
        if process.returncode:
            results.append(Result(begun, (f"ended by {process.returncode}",), 0.0, 0.0))
            start = begun + 1
    return results
