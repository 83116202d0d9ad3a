"""The whole job as one graph; building never runs it."""

import apache_beam as beam
from apache_beam.pvalue import PCollection

from pipeline.inputs import MatchFiles, ReadPages
from pipeline.names import to_bytes
from pipeline.options import JobOptions
from pipeline.stage_functions import FAILED, SEEN
from pipeline.stages import Stages, real_stages
from pipeline.transforms import ClassifyPages, CommitRun, ReadFields, SegmentPages, WriteRows


def build(pipeline: beam.Pipeline, options: JobOptions, stages: Stages | None = None) -> PCollection:
    """Adds the job to a pipeline.

    From the name of a file to its rows on disk everything is one fused stage: no pixel is shuffled.

    Args:
        pipeline: not started here.
        options: what to read and where to write.
        stages: what is done to a page; the real ones if None.

    Returns:
        One element once the run is visible: its totals.
    """
    stages = stages or real_stages(options)
    patterns = pipeline | "Inputs" >> beam.Create([to_bytes(name) for name in options.inputs])
    files, unmatched, unmatched_seen = patterns | "MatchFiles" >> MatchFiles(options)
    decoded = files | "ReadPages" >> ReadPages(stages, options)
    segmented = decoded.pages | "SegmentPages" >> SegmentPages(stages, options)
    classified = segmented.pages | "ClassifyPages" >> ClassifyPages(stages)
    read = classified | "ReadFields" >> ReadFields(stages, options)
    failures = (unmatched, decoded[FAILED], segmented[FAILED], read[FAILED]) | "Failures" >> beam.Flatten()
    shards = (
        read.rows | "WritePages" >> WriteRows(options),
        failures | "WriteFailures" >> WriteRows(options),
    ) | "Files" >> beam.Flatten()
    seen = (unmatched_seen, decoded[SEEN]) | "Seen" >> beam.Flatten()
    return shards | "CommitRun" >> CommitRun(options, seen)
