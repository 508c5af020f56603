"""Nothing here reaches beyond this machine."""

import pytest

from notifier.runtime.guard import refuse_everything_but_loopback


@pytest.fixture(autouse=True, scope="session")
def guard() -> None:
    refuse_everything_but_loopback()
