"""Where the web process listens."""

import asyncio

import pytest

from notifier.api.serving import listen
from notifier.domain.errors import ConfigurationError


@pytest.mark.parametrize(
    ("host", "reached"),
    [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("::", "::1"), ("::", "127.0.0.1")],
)
async def test_every_way_to_write_an_address_is_listened_on(host: str, reached: str) -> None:
    (listening,) = listen(host, 0)

    _, writer = await asyncio.open_connection(reached, listening.getsockname()[1])

    writer.close()
    listening.close()


def test_a_port_that_is_taken_is_told_with_the_settings_that_name_it() -> None:
    (taken,) = listen("127.0.0.1", 0)

    with pytest.raises(ConfigurationError, match=r"127\.0\.0\.1 port \d+ .*NOTIFIER_PORT"):
        listen("127.0.0.1", taken.getsockname()[1])

    taken.close()
