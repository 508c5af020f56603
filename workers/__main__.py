"""One worker process: `python -m workers [--threads N] [--queue NAME …]`. `notifier worker` keeps several of them up.

SIGTERM lets the batches under way finish and gives back what was not begun; a second one ends at once.
"""

import argparse
import os
import signal
import threading
from types import FrameType

import dramatiq
import structlog

from workers.main import broker, settings

STOP_TIMEOUT = 25_000  # milliseconds for batches under way: a lease's length

log = structlog.get_logger(__name__)


def main() -> None:
    """Work until told to stop."""
    parser = argparse.ArgumentParser(prog="workers", description=__doc__)
    parser.add_argument("--threads", type=int, default=settings.worker_threads, help="batches at once")
    parser.add_argument("--queue", dest="queues", action="append", help="only this queue; may be given again")
    arguments = parser.parse_args()
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(1)
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    worker = dramatiq.Worker(
        broker, queues=arguments.queues and set(arguments.queues), worker_threads=arguments.threads
    )
    worker.start()
    log.info("worker.ready", threads=arguments.threads)
    while not stop.wait(timeout=1.0):
        pass
    worker.stop(timeout=STOP_TIMEOUT)
    broker.close()


main()
