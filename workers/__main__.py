"""One worker process: `python -m workers [--batches N] [--background] [--queue …] …`; `notifier worker` keeps them up.

It holds so many messages of each queue and has a thread for every one of them, so that no queue waits for another: a
provider that hangs holds up its own channel and lane. A thread does nothing but wait for the event loop.

SIGTERM lets the batches under way finish and gives back what was not begun; another one, later, ends at once. A worker
that can't open what it needs ends, too, and is started again.
"""

import argparse
import os
import signal
import threading
import time
from types import FrameType

import structlog

from notifier import metrics
from notifier.broker import QUEUES
from notifier.broker.worker import Worker
from notifier.domain.errors import ConfigurationError, StoreUnavailable
from workers.main import NotBooted, broker, loop, settings

BACKGROUND = 10  # niceness: a tenth of the others' share of a busy core, and all of an idle one
STOP_TIMEOUT = 24_000  # milliseconds for batches under way: longer than a lease
LATER = 2.0  # seconds: whoever stops a process group signals this process twice, directly and by `notifier worker`

log = structlog.get_logger(__name__)


def main() -> None:
    """Work until told to stop."""
    parser = argparse.ArgumentParser(prog="workers", description=__doc__)
    parser.add_argument("--batches", type=int, default=settings.worker_batches, help="of one queue at once")
    parser.add_argument("--queue", dest="queues", action="append", help="only this queue; may be given again")
    parser.add_argument("--background", action="store_true", help="only with spare CPU")
    parser.add_argument("--report-to", type=int, help="the inherited socket on which `notifier worker` asks")
    arguments = parser.parse_args()
    loop.report_to = arguments.report_to
    if arguments.background:
        os.nice(BACKGROUND)
    stop, told_at = threading.Event(), 0.0

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        nonlocal told_at
        if not stop.is_set():
            told_at = time.monotonic()
            stop.set()
        elif time.monotonic() - told_at > LATER:
            os._exit(1)

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    queues = set(arguments.queues or QUEUES)
    worker = Worker(broker, queues, arguments.batches)
    try:
        worker.start()
    except NotBooted as error:
        why = error.__cause__
        known = isinstance(why, ConfigurationError | StoreUnavailable | OSError)
        log.critical("worker.not_booted", why=str(why), exc_info=None if known else why)
        metrics.forget()
        os._exit(1)  # open connections already have threads
    log.info("worker.ready", batches=arguments.batches, queues=len(queues))
    while not stop.wait(timeout=1.0):
        pass
    loop.stop()
    worker.drain(STOP_TIMEOUT)
    broker.close()


main()
