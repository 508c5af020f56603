"""Commands that work piece by piece: where one fails midway, it reports what it has done so far, or leaves no file that
looks whole."""

import gzip
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import click


@contextmanager
def told_if_cut_short(done: Callable[[], str]) -> Iterator[None]:
    """Report on standard error what was `done` before an error ended the command."""
    ended = False
    try:
        yield
        ended = True
    finally:  # KeyboardInterrupt, too
        if not ended:
            click.echo(f"Interrupted. Done so far: {done()}", err=True)


@contextmanager
def writing_whole(file: Path) -> Iterator[Callable[[bytes], object]]:
    """Write a new file for its owner alone, compressed where its name ends in .gz; it has its name once it is complete
    and on the disk, and the ending .part before."""
    part = file.with_name(f"{file.name}.part")
    with ExitStack() as opened:
        raw = opened.enter_context(open(part, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)))
        target: IO[bytes] | gzip.GzipFile = raw
        if file.suffix == ".gz":
            target = opened.enter_context(gzip.GzipFile(fileobj=raw, mode="wb", filename=""))
        yield target.write
        target.flush()
        if target is not raw:
            target.close()
        raw.flush()
        os.fsync(raw.fileno())
    part.replace(file)
