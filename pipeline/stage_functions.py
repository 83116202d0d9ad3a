"""What the job's functions share: counters, failures as rows, and telling the launcher how far they are."""

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.pvalue import TaggedOutput

from pipeline.memory import keep_freed_memory
from pipeline.options import JobOptions
from pipeline.progress import ProgressWriter
from pipeline.records import Failure
from pipeline.remote import make_clients_quick
from pipeline.remote_access import take_from_launcher

FAILED = "failed"
SEEN = "seen"  # one ``Seen`` for each file
NAMESPACE = "formscribe"


def count(name: str, amount: int = 1) -> None:
    """Adds to a counter of the job."""
    Metrics.counter(NAMESPACE, name).inc(amount)


class StageFn(beam.DoFn):  # type: ignore[misc]
    """A function of the job that may fail on an element without harm to others."""

    def __init__(self, options: JobOptions) -> None:
        """Opens nothing yet."""
        self.options = options

    def setup(self) -> None:
        """Settles how the process works, and opens the progress file, if there is one on this machine."""
        _one_thread()
        keep_freed_memory()
        if any(place.startswith("s3://") for place in (*self.options.inputs, self.options.output)):
            make_clients_quick()
        self.progress = ProgressWriter(self.options.progress_file)

    def failed(self, failure: Failure) -> TaggedOutput:
        """Counts a failure, here and now, and sends it to the failures' output."""
        count("pages_failed")
        count(f"failed_{failure.code}")
        self.progress.add({"failed": 1, f"code:{failure.code}": 1})
        return TaggedOutput(FAILED, failure)

    def teardown(self) -> None:
        """Closes the progress file."""
        self.progress.close()


def _one_thread() -> None:
    """Leaves parallelism to the runner: nested threads slow each other down."""
    import cv2

    cv2.setNumThreads(1)


# As soon as a worker knows any function of the job, since the last step has no `setup`.
take_from_launcher()
