"""Beam's pool of worker processes on one address of this machine.

Beam's own ``worker_pool_main`` listens on every address, and a pool serves one task manager only: it knows
its workers by numbers that every task manager counts from one, so that of two the one would end the other's
workers. On a cluster of several machines each has a pool of its own; here each has an address.
"""

import argparse
import threading

import grpc  # type: ignore[import-untyped]
from apache_beam.portability.api import beam_fn_api_pb2_grpc
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer
from apache_beam.utils import thread_pool_executor


def main() -> None:
    """Serves until the process is ended."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--address", required=True, help="such as 127.0.0.2:50000")
    address = parser.parse_args().address
    server = grpc.server(thread_pool_executor.shared_unbounded_instance(), options=[("grpc.so_reuseport", 0)])
    server.add_insecure_port(address)
    pool = BeamFnExternalWorkerPoolServicer(use_process=True)
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    server.start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
