"""Commands that work piece by piece: where one fails midway, it reports what it has done so far."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click


@contextmanager
def told_if_cut_short(done: Callable[[], str]) -> Iterator[None]:
    """Report on standard error what was `done` before an error ended the command."""
    ended = False
    try:
        yield
        ended = True
    finally:  # an interrupt from the keyboard as well
        if not ended:
            click.echo(f"Interrupted. Until then: {done()}", err=True)
