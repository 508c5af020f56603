"""What a process has opened to work with: one `Engine`, made at its start and closed at its end."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from random import Random, SystemRandom
from typing import Any

from notifier.broker import NAMESPACE
from notifier.broker.signals import Signals
from notifier.domain.catalog import Catalog
from notifier.domain.clock import SECOND, Clock
from notifier.domain.deliveries import Channel
from notifier.domain.links import Links
from notifier.pipeline.claim_batcher import HOLD, ClaimBatcher, Hold
from notifier.pipeline.local_dispatcher import LocalDispatcher
from notifier.pipeline.often import Often
from notifier.providers import Transport
from notifier.rendering import Renderer
from notifier.store.core.database import Database

SIGNAL_AGAIN = 3 * SECOND  # what was signalled and not taken by then was lost or is stuck: the clock signals again
CHUNK = 1000  # recipients of a segment that one transaction looks at: a fraction of a second's work
EXPAND_AGAIN = 25 * SECOND  # the same for a campaign's next chunk, which waits for whatever is prompt


@dataclass(frozen=True, kw_only=True)
class Engine:
    """The database, the signals, the texts and, in workers, the transports of the channels.

    `background` is what goes on as long as it is open; `chunk` counts recipients; `namespace` is what all that it keeps
    in a broker is called by, `often` whom it decides about often.
    """

    database: Database
    catalog: Catalog
    renderer: Renderer
    signals: Signals
    clock: Clock
    links: Links
    namespace: str = NAMESPACE
    chunk: int = CHUNK
    often: Often = field(default_factory=Often)
    background: tuple[asyncio.Task[None], ...] = ()


@dataclass(frozen=True, kw_only=True)
class WorkerEngine(Engine):
    """An engine that can send: `at_once` are the messages of each channel that keep its connections busy, any number
    where it isn't told; `nearby` is what it decides and delivers in one go, `hold` how
    long it holds what it sends, and `random` are the dice that say how long to wait before a message is tried again."""

    transports: Mapping[Channel, Transport[Any]]
    at_once: Mapping[Channel, float] = field(default_factory=dict)
    dispatcher: LocalDispatcher = field(default_factory=LocalDispatcher)
    hold: Hold = HOLD
    random: Random = field(default_factory=SystemRandom)

    @cached_property
    def claims(self) -> ClaimBatcher:
        """By which this process claims and settles deliveries."""
        return ClaimBatcher(self.database, self.clock, self.hold)
