"""The providers of one channel as one transport: each at its pace, the well ones instead of those that fail.

A message goes to one provider. Only where that one surely did not take it, and said so quickly, it goes to the next;
where none can have it now it is held back, and waits as a row.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Any, Final, Generic, NamedTuple, TypeVar

import msgspec
from prometheus_client import Counter

from notifier.domain.clock import SECOND, Clock
from notifier.domain.deliveries import Channel
from notifier.domain.errors import SendError
from notifier.domain.messages import Message, Receipt, Urgency
from notifier.providers import StatusQueryable, Transport, fence, metrics
from notifier.providers.breaker import MAX_ASKED, Breaker, BreakerState, Outcome
from notifier.providers.codes import DEFERRED, Codes
from notifier.providers.pacing import BACKLOG, PATIENCE, RAMP, Backlog, Bucket, ramped
from notifier.providers.shared import Shared
from notifier.providers.slots import SlotPool
from notifier.runtime.accounts import Account
from notifier.runtime.background import once
from notifier.runtime.coalesce import Coalescer

ASKED_TOGETHER: Final = 500
"""Messages in one call to Redis: a few batches, and well below a millisecond of its time."""
LAST_SLOT: Final = max(PATIENCE.values()) / SECOND
"""Seconds of `fence.ROOM` for the last wait, the one for a slot."""
LEAST_SHARE: Final = 0.05
"""The share of messages that a provider gets when it has just come back; the rest returns within `pacing.RAMP`."""
FRESH: Final = 250
"""Milliseconds that the answer "not resting" is cached for a provider without a rate. A rest that another process
reports meanwhile is noticed that much later."""
TOLD_AHEAD: Final = 250
"""Milliseconds added to the rest that other processes are told, so that simultaneous answers are told once."""

HELD_BACK: Final = "held"
"""The outcome label, in the metric of requests, of a message for which the provider was not called."""

WHAT_IT_SAYS: Final[Mapping[str, Outcome]] = {
    "unavailable": "unavailable",
    "unknown": "unknown",
    "misconfigured": "misconfigured",
    "throttled": "neither",
}
"""What each kind of error about a provider or account tells the breaker. An error about a single message shows that the
provider works."""

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a channel's providers have in common.

    `cost` is what a message counts of a rate. `ramps` where a full rate is to be reached slowly. A connection takes
    `per_connection` messages at once. `processes` share a rate where nobody keeps what they share.
    """

    channel: Channel
    codes: Codes
    cost: Callable[[Any], float] = lambda _message: 1.0
    ramps: bool = False
    per_connection: int = 1
    processes: int = 1


class _Ask(NamedTuple):
    cost: float
    urgency: Urgency


class Provider(Generic[M]):
    """One provider: its transport behind its pace and its breaker. `shared` is None where nobody else sends by it."""

    def __init__(
        self, account: Account, transport: Transport[M], terms: Terms, shared: Shared | None, clock: Clock
    ) -> None:
        self.name = account.name
        self.weight = account.weight
        self._rate = account.rate
        self._key = f"provider:{terms.channel}:{account.name}"
        self._transport = transport
        self._terms = terms
        self._shared = shared
        self._clock = clock
        self._breaker = Breaker(clock)
        self._bucket = Bucket(ramps=terms.ramps)
        self._backlog = Backlog()
        slots = account.connections * terms.per_connection
        self._connections = SlotPool(slots)
        self._connections_of_the_low = SlotPool(max(slots // 2, 1))
        self._slots: Coalescer[_Ask, float | SendError] = Coalescer(self._give_slots, ASKED_TOGETHER)
        self._fresh_until = 0
        self._told_until = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._requests: dict[str, Counter] = {}
        self._shown: BreakerState | None = None
        self._show()

    @property
    def share(self) -> float:
        """The share of its messages that a provider gets now: less for a while after it was down."""
        return min(max(self._breaker.up_for / RAMP, LEAST_SHARE), 1.0)

    async def send(self, message: M, deadline: float) -> Receipt:
        """Hand over one message at its turn; a SendError of class `deferred` where that is too far away.

        `deadline` is the loop's time by which the transport must have it.
        """
        ask = _Ask(self._terms.cost(message), message.urgency)
        if asyncio.get_running_loop().time() > deadline - LAST_SLOT:
            raise self._deferred("busy", ask, 0.0)
        await self._wait_for_slot(ask)
        taken: list[SlotPool] = []
        try:
            if await self._take_connection(ask, deadline - LAST_SLOT, taken):
                # The message's slot is over, and others wait as well: together they could exceed the rate.
                await self._wait_for_slot(ask)
            return await self._send(message)
        finally:
            for pool in taken:
                pool.give_back()

    async def find(self, message: M, since: int) -> Receipt | None:
        """The receipt that the provider has for a message; None if the provider can't be asked."""
        if not isinstance(self._transport, StatusQueryable):
            return None
        self._refuse_at_rest(_Ask(self._terms.cost(message), message.urgency))
        try:
            receipt: Receipt | None = await self._transport.find(message, since)
        except SendError as error:
            self._heed(error)
            raise
        return receipt and msgspec.structs.replace(receipt, provider=self.name)

    async def close(self) -> None:
        await self._transport.close()
        await asyncio.gather(*self._tasks)

    async def _send(self, message: M) -> Receipt:
        began = self._breaker.begin()
        outcome: Outcome = "unknown"
        said = "broken_off"
        try:
            receipt = await self._transport.send(message)
            outcome, said = "good", "sent"
            return msgspec.structs.replace(receipt, provider=self.name)
        except SendError as error:
            outcome = what_it_says(error)
            said = HELD_BACK if error.retry_class == DEFERRED else error.kind
            self._heed(error)
            raise
        finally:
            self._count(said)
            opened = self._breaker.end(began, outcome)
            if opened:
                self._tell(opened, tripped=True)
            self._show()

    async def _take_connection(self, ask: _Ask, deadline: float, taken: list[SlotPool]) -> bool:
        """Take one of as many slots as messages fit the connections, half of which a campaign can't take; whether it
        was waited for."""
        waited = False
        of_all, of_the_low = self._connections, self._connections_of_the_low
        for pool in (of_the_low, of_all) if ask.urgency == "low" else (of_all,):
            try:
                waited |= await pool.take(deadline)
            except TimeoutError:
                raise self._deferred("busy", ask, 0.0) from None
            taken.append(pool)
        return waited

    async def _wait_for_slot(self, ask: _Ask) -> None:
        self._refuse_at_rest(ask)
        if self._rate is None and (self._shared is None or self._clock.now() < self._fresh_until):
            return
        (slot,) = await self._slots.add([ask])
        if isinstance(slot, SendError):
            raise slot
        if slot:
            await asyncio.sleep(slot / SECOND)
        self._refuse_at_rest(ask)  # other processes may have been told so meanwhile

    def _refuse_at_rest(self, ask: _Ask) -> None:
        rest = self._breaker.rest()
        if rest:
            raise self._deferred("resting", ask, rest)

    async def _give_slots(self, asks: list[_Ask]) -> list[float | SendError]:
        """For each how long to wait, in milliseconds, or that it is held back."""
        rate = self._rate and ramped(self._rate, self._breaker.up_for)
        if self._shared is not None:
            asked = [(ask.cost, PATIENCE[ask.urgency]) for ask in asks]
            ahead = self._bucket.ahead(self._clock.now())
            taken = await self._shared.take(self._key, rate or 0.0, self._terms.ramps, ahead, asked)
            if taken is not None and taken.rests > 0:
                self._breaker.leave_alone(math.ceil(taken.rests), tripped=taken.tripped)
                self._show()
                return [self._deferred("resting", ask, taken.rests) for ask in asks]
            if taken is not None and self._rate is None:
                self._fresh_until = self._clock.now() + FRESH
            elif taken is not None:
                self._bucket.promise(self._clock.now() + max(taken.waits))
                return [self._slot(ask, wait >= 0, abs(wait)) for ask, wait in zip(asks, taken.waits, strict=True)]
        if rate is None:
            return [0.0] * len(asks)
        now, rate = self._clock.now(), rate / self._terms.processes
        return [self._slot(ask, *self._bucket.take(now, rate, ask.cost, PATIENCE[ask.urgency])) for ask in asks]

    def _slot(self, ask: _Ask, taken: bool, wait: float) -> float | SendError:
        if taken:
            return wait
        metrics.paced.labels(self.name).inc()
        return self._deferred("paced", ask, wait)

    def _deferred(self, code: str, ask: _Ask, wait: float) -> SendError:
        """What a message that is held back is told: when to come back, those of the others in mind."""
        rate = BACKLOG if self._rate is None else self._rate / self._terms.processes
        later = self._backlog.come_back(self._clock.now(), wait, rate, ask.cost, ask.urgency)
        error = self._terms.codes.classify(code, retry_after=later / SECOND)
        error.provider = self.name
        return error

    def _heed(self, error: SendError) -> None:
        """Take an error for this provider's, and leave it alone for as long as it asks."""
        error.provider = self.name
        if error.retry_after and is_general(error):
            asked = min(math.ceil(error.retry_after * SECOND), MAX_ASKED)
            self._breaker.leave_alone(asked, tripped=False)
            self._tell(asked, tripped=False)

    def _tell(self, rest: int, *, tripped: bool) -> None:
        """Tell the other processes that this provider rests, unless they know."""
        until = self._clock.now() + rest
        if self._shared is None or until <= self._told_until:
            return
        self._told_until = until + TOLD_AHEAD
        self._start(partial(self._shared.rest, self._key, rest + TOLD_AHEAD, tripped=tripped))

    def _start(self, telling: Callable[[], Awaitable[None]]) -> None:
        task = once("provider.tell", telling)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _count(self, said: str) -> None:
        if said not in self._requests:
            self._requests[said] = metrics.provider_requests.labels(self.name, said)
        self._requests[said].inc()

    def _show(self) -> None:
        state = self._breaker.state
        if state is not self._shown:
            self._shown = state
            metrics.breaker_state.labels(self.name).set(state)


class Providers(Generic[M]):
    """Several providers as one `Transport`, which can also be asked (`StatusQueryable`) where they can.

    A person's messages come from the same provider, and so from the same sender, as long as it is well.
    """

    def __init__(self, providers: Sequence[Provider[M]], shared: Shared | None) -> None:
        self._providers = providers
        self._shared = shared

    async def send(self, message: M) -> Receipt:
        """Hand over one message to the first provider that can take it.

        Raises the SendError of the last one that was asked; where none was, the one of whoever has time first.
        """
        deadline = fence.begin_by()
        failed: SendError | None = None
        deferred: list[SendError] = []
        for provider in rank(self._providers, message):
            try:
                return await provider.send(message, deadline)
            except SendError as error:
                if error.retry_class == DEFERRED:
                    deferred.append(error)
                else:
                    failed = error
                    if not (error.retry and is_general(error)):
                        break
        raise failed or min(deferred, key=lambda error: error.retry_after or 0.0)

    async def find(self, message: M, since: int) -> Receipt | None:
        """The receipt of whichever provider has the message; None where none of those that can be asked has it.

        Raises a SendError where one that may have it doesn't say.
        """
        failed: SendError | None = None
        for provider in self._providers:
            try:
                receipt = await provider.find(message, since)
            except SendError as error:
                failed = error
            else:
                if receipt is not None:
                    return receipt
        if failed is not None:
            raise failed
        return None

    async def close(self) -> None:
        await asyncio.gather(*(provider.close() for provider in self._providers))
        if self._shared is not None:
            await self._shared.close()


def rank(providers: Sequence[Provider[M]], message: M) -> Sequence[Provider[M]]:
    """The providers in the order in which a message tries them: by weight and whom it goes to, those in reserve last.

    Each address draws its lots for every provider (rendezvous hashing, weighted): the same ones every time, so that it
    moves only when its provider loses weight, and then in proportion to the others'.
    """
    if len(providers) == 1:
        return providers
    address = message.address
    return sorted(providers, key=lambda provider: _lot(provider, address), reverse=True)


def _lot(provider: Provider[Any], address: str) -> float:
    digest = blake2b(f"{provider.name}\0{address}".encode("utf-8", "surrogatepass"), digest_size=7).digest()
    drawn = (int.from_bytes(digest) + 0.5) / 2**56  # between 0 and 1, both excluded
    return provider.weight * provider.share / -math.log(drawn)


def is_general(error: SendError) -> bool:
    """Whether an error says something of the provider as a whole, not of one message or of us."""
    return error.about in ("provider", "account")


def what_it_says(error: SendError) -> Outcome:
    """The outcome that an error counts as for the breaker."""
    if error.about == "ourselves":
        return "neither"
    return WHAT_IT_SAYS.get(error.kind, "good") if is_general(error) else "good"
