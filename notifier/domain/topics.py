"""Topics: what people ask to be told of, such as a station that is free again. Subscribing is the person's own choice,
so what their service writes about them leaves it as it is."""

from typing import Annotated

import msgspec

from notifier.domain import identifiers
from notifier.domain.text import STEP

Topic = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=STEP)]
GROUP = "topic"
"""The audience-key group of topics (`catalog.AUDIENCE_FIELDS`)."""


def audience(topic: str) -> str:
    """The audience key of a topic's subscribers."""
    return identifiers.audience(GROUP, topic)
