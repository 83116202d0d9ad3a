"""The Beam job: records, schemas, transforms, the model handler, failures and counters."""
