"""Reads fuzzed files in a process of its own: ``fuzz_reader.py SEED START STOP``, a line of JSON for each.

A file that takes more than ``CPU_SECONDS`` of processor ends the process by a signal of the kernel, whatever
code it hangs in; the last line then names it.
"""

import json
import resource
import signal
import sys
import time
import warnings

from fuzz_files import case, specimens

from segmentation.images import Bounds, ImageError, ImageLimits, open_document

CPU_SECONDS = 30
MEMORY = 3_000_000_000  # bytes of address space, most of it libraries and never touched
LIMITS = ImageLimits(max_pixels=10_000_000, max_pages=50)
OF_A_PDF = Bounds(seconds=6, memory=1_000_000_000)  # in the process that PDFs have of their own


def outcome(data: bytes) -> list[str]:
    """What became of the file and of each page: a code, or ``read``."""
    found = []
    try:
        bounds = OF_A_PDF if b"%PDF-" in data[:1024] else None
        with open_document(data, LIMITS, bounds) as document:
            for number in range(1, document.page_count + 1):
                try:
                    gray = document.read(number).gray
                    good = gray.dtype == "uint8" and gray.ndim == 2 and 0 < gray.size <= LIMITS.max_pixels
                    found.append("read" if good else f"wrong page {gray.dtype} {gray.shape}")
                except ImageError as error:
                    found.append(str(error.code))
    except ImageError as error:
        found.append(str(error.code))
    except Exception as error:
        found.append(f"raised {type(error).__name__}: {error}")
    return found


def peak_mb() -> float:
    """The most that this process held; what ``getrusage`` says begins with the size of whoever started it."""
    with open("/proc/self/status", encoding="ascii") as stream:
        return next(int(line.split()[1]) for line in stream if line.startswith("VmHWM")) / 1024


def main() -> None:
    seed, start, stop = map(int, sys.argv[1:4])
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    specimens()
    print(json.dumps({"peak_mb": peak_mb()}), flush=True)
    for index in range(start, stop):
        data = case(seed, index)
        print(json.dumps({"begin": index}), flush=True)
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        begun = time.process_time()
        found = outcome(data)
        signal.setitimer(signal.ITIMER_PROF, 0)
        seconds = round(time.process_time() - begun, 3)
        told = {"end": index, "found": sorted(set(found)), "seconds": seconds, "peak_mb": peak_mb()}
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
