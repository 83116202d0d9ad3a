"""``formscribe run`` with pages that misbehave where they are read: ``failing_job.py SECONDS ...``.

What a page does is the kind that its fake file names: ``explode`` crashes that process, ``elsewhere`` hangs
in it, ``memory`` takes more than there is; others take the given seconds. Each process leaves ``cell-PID``.
"""

import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import numpy as np
import pipeline_fakes


def misbehave(gray, template):
    Path(f"cell-{os.getpid()}").touch()
    kind = pipeline_fakes.KINDS[gray[0, 0]]
    if kind == "explode":
        os.kill(os.getpid(), signal.SIGSEGV)
    if kind == "elsewhere":
        time.sleep(600)
    if kind == "memory":
        np.ones(8_000_000_000, np.uint8)
    time.sleep(float(os.environ["PAGE_SECONDS"]))
    return pipeline_fakes.fake_segment(gray, template)


def stages_for(options):
    from pipeline.limits import bounds_of
    from segmentation.isolation import IsolatedSegmenter

    return replace(pipeline_fakes.STAGES, segment_page=IsolatedSegmenter(misbehave, bounds_of(options)))


if __name__ == "__main__":
    import failing_job  # the other processes find the functions under this name

    from jobs import cli

    cli._quieten(verbose=False)
    import jobs.run

    os.environ["PAGE_SECONDS"] = sys.argv.pop(1)
    jobs.run.real_stages = failing_job.stages_for
    jobs.run.model_sha256 = lambda path: "f" * 64
    sys.exit(cli.main())
