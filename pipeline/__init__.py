"""The Beam job: records and schemas, transforms, the model handler, failures, counters, Parquet.

Knows segmentation and model; only this room and ``jobs`` know Beam.
"""
