"""A worker process as `python -m workers` starts it, with one actor more, which ends the process."""

import os
import runpy

import dramatiq

import workers.main  # the broker that actors belong to
from notifier.broker import DECIDE


@dramatiq.actor(broker=workers.main.broker, queue_name=DECIDE, actor_name="die")
def die(_ids: list[str]) -> None:
    """Ends the process as a fault in a C library does: nothing is cleaned up."""
    os._exit(1)


runpy.run_module("workers", run_name="__main__")
