"""A worker process as `python -m workers` starts it, with two actors more."""

import os
import runpy
from pathlib import Path

import dramatiq

import workers.main  # the broker that actors belong to
from notifier.broker import DECIDE


@dramatiq.actor(broker=workers.main.broker, queue_name=DECIDE, actor_name="die")
def die(_ids: list[str]) -> None:
    """Ends the process as a fault in a C library does: nothing is cleaned up."""
    os._exit(1)


@dramatiq.actor(broker=workers.main.broker, queue_name=DECIDE, actor_name="stay")
def stay(files: list[str]) -> None:
    """Says that it has begun, waits until it may go on, and leaves a word."""
    begun, go, done = map(Path, files)
    begun.write_text("begun")
    go.read_text()
    done.write_text("done")


runpy.run_module("workers", run_name="__main__")
