"""A process's open resources: one `Engine`, made at its start and closed at its end."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from random import Random, SystemRandom
from typing import Any, Self

from notifier.broker.signals import Signals
from notifier.domain.buckets import bucket_of
from notifier.domain.catalog import Catalog
from notifier.domain.clock import SECOND, Clock
from notifier.domain.deliveries import Channel
from notifier.domain.experiments import Experiments
from notifier.domain.links import Links
from notifier.domain.twins import is_test
from notifier.pipeline.claim_batcher import HOLD, ClaimBatcher, Hold
from notifier.pipeline.local_dispatcher import LocalDispatcher
from notifier.pipeline.often import Often
from notifier.providers import Transport
from notifier.providers.in_process import open_stand_ins
from notifier.rendering import Renderer
from notifier.runtime.broker_url import NAMESPACE
from notifier.runtime.rotation import Rotation
from notifier.runtime.tracing import Tracer
from notifier.store.core.database import Database

SIGNAL_AGAIN = 3 * SECOND  # a signal that no worker took by then is lost or stuck: the clock signals again
LATER_AGAIN = 60 * SECOND  # the same for events that come behind all others: they may well wait so long
CHUNK = 1000  # recipients of a segment per transaction: a fraction of a second's work
EXPAND_AGAIN = 25 * SECOND  # the same for a campaign's next chunk, which waits for prompt work


@dataclass(frozen=True, kw_only=True)
class Engine:
    """The database, the signals, the texts and, in workers, the channels' transports.

    `opened` closes what was opened for the engine; `chunk` counts recipients; `namespace` prefixes all of its
    names in a broker; `often` remembers people about whom it decides often; `experiments` are those that run;
    `tracer` is there where tracing is on;
    `rotation` has the settings as they are now, and is None where they stay.
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
    experiments: Experiments = field(default_factory=Experiments)
    tracer: Tracer | None = None
    part_of: "Engine | None" = None
    rotation: Rotation | None = None
    opened: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def whole(self) -> "Engine":
        """The engine of the whole database, of which this may be a bucket's."""
        return self.part_of or self

    @cached_property
    def buckets(self) -> tuple[Self, ...]:
        """The engine of each bucket of the database."""
        parts = self.database.buckets
        if len(parts) == 1:
            return (self,)
        return tuple(replace(self, database=part, signals=self.signals.of(part.bucket), part_of=self) for part in parts)

    def of(self, key: str) -> Self:
        """The engine of a person's bucket, by the person's id."""
        return self.buckets[bucket_of(key, len(self.buckets))]


@dataclass(frozen=True, kw_only=True)
class WorkerEngine(Engine):
    """An engine that can send. `at_once` is how many messages keep each channel's connections busy, unlimited where a
    channel is missing; `dispatcher` sends what this process decides; `hold` is how long it holds a delivery; `random`
    is the jitter of retries. `stand_ins` take the messages of tests, none of which goes to `transports`."""

    transports: Mapping[Channel, Transport[Any]]
    stand_ins: Mapping[Channel, Transport[Any]] = field(default_factory=open_stand_ins)
    at_once: Mapping[Channel, float] = field(default_factory=dict)
    dispatcher: LocalDispatcher = field(default_factory=LocalDispatcher)
    hold: Hold = HOLD
    random: Random = field(default_factory=SystemRandom)

    @cached_property
    def claims(self) -> ClaimBatcher:
        """The batcher through which this process claims and settles deliveries."""
        return ClaimBatcher(self.database, self.clock, self.hold)

    def transport(self, channel: Channel, type_: str) -> Transport[Any]:
        """What a channel's messages of a notification type are handed to: the only way to a provider."""
        return (self.stand_ins if is_test(type_) else self.transports)[channel]
