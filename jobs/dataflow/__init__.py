"""What a job on Google Cloud Dataflow needs: defaults, the package for its workers, and a Flex Template."""
