"""``formscribe run`` with fakes in a process of its own, for tests that kill it: ``slow_job.py SECONDS ...``.

Each page takes that long, and each process that reads one leaves a file ``at-work-PID``.
"""

import os
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import pipeline_fakes


def slow_segment(gray, template, seconds: float):
    Path(f"at-work-{os.getpid()}").touch()
    time.sleep(seconds)
    return pipeline_fakes.fake_segment(gray, template)


if __name__ == "__main__":
    import slow_job  # workers find the function under this name

    from jobs import cli

    cli._quieten(verbose=False)
    import jobs.run

    stages = replace(
        pipeline_fakes.STAGES, segment_page=partial(slow_job.slow_segment, seconds=float(sys.argv.pop(1)))
    )
    jobs.run.real_stages = lambda options: stages
    jobs.run.model_sha256 = lambda path: "f" * 64
    sys.exit(cli.main())
