"""Commands that work piece by piece: where one fails midway, what it has done until then is done, and is told."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click


@contextmanager
def told_if_cut_short(done: Callable[[], str]) -> Iterator[None]:
    """Say on standard error what was `done`, before the error that ends the command says why it goes no further."""
    ended = False
    try:
        yield
        ended = True
    finally:  # of an interrupt by the keyboard, too
        if not ended:
            click.echo(f"Cut short. Until then: {done()}", err=True)
