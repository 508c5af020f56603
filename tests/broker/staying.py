"""A worker process as `python -m workers` starts it, with one actor more, which takes as long as it is told to."""

import runpy
from pathlib import Path

import dramatiq

import workers.main  # the broker that actors belong to
from notifier.broker import DECIDE


@dramatiq.actor(broker=workers.main.broker, queue_name=DECIDE, actor_name="stay")
def stay(files: list[str]) -> None:
    """Says that it has begun, waits until it may go on, and leaves a word."""
    begun, go, done = map(Path, files)
    begun.write_text("begun")
    go.read_text()
    done.write_text("done")


runpy.run_module("workers", run_name="__main__")
