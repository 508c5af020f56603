"""Signals: messages that carry ids and nothing else. Sending one never keeps its sender waiting for long."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from typing import Any

import dramatiq
import structlog
from dramatiq.brokers.redis import RedisBroker
from dramatiq.common import current_millis

from notifier import metrics
from notifier.broker import ASK, CAREFUL, CHANGES, DECIDE, DECIDE_LATER, DECIDE_URGENT, EXPAND, LANES, QUEUES
from notifier.broker.rabbitmq import OnceRabbitmqBroker
from notifier.domain.deliveries import Channel, Lane

IDS_A_MESSAGE = 250  # large enough to spread the cost of the message and its batch's transactions
IDS_OF_A_CAMPAIGN = 100  # in a bulk message: prompt messages wait for the database while it works on one batch

log = structlog.get_logger(__name__)


class Signals:
    """Sends signals from an asyncio program, off its loop; one thread, because a RabbitMQ connection belongs to one.

    `tries` says that events were signalled before and nobody decided them: whoever takes them now counts a try first,
    for they may be what killed a worker. `alone` puts each in a message of its own, and those into the queue for what
    may do so once more.
    """

    def __init__(self, broker: dramatiq.Broker) -> None:
        self._keywords: dict[str, int] = {}
        self._broker = broker
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="signals")

    def of(self, bucket: int) -> "Signals":
        """Signals about the rows of one bucket."""
        return copy(self)._about(bucket)  # noqa: SLF001

    def _about(self, bucket: int) -> "Signals":
        self._keywords = {"bucket": bucket}
        return self

    async def decide_urgent(self, ids: Sequence[str]) -> None:
        """Signal that urgent events wait for a decision."""
        await self._send(self._messages(DECIDE_URGENT, "decide_urgent", ids))

    async def decide(self, ids: Sequence[str], *, tries: int | None = None, alone: bool = False) -> None:
        """Signal that events wait for a decision."""
        await self._decide(DECIDE, "decide", ids, tries, alone=alone)

    async def decide_later(self, ids: Sequence[str], *, tries: int | None = None) -> None:
        """Signal that events wait for a decision, behind all others."""
        await self._decide(DECIDE_LATER, "decide_later", ids, tries)

    async def expand(self, ids: Sequence[str]) -> None:
        """Signal that events wait for the next chunk of their segments."""
        await self._send(self._messages(EXPAND, "expand", ids))

    async def deliver(self, ids_by_queue: Mapping[tuple[Channel, Lane], Sequence[str]], *, alone: bool = False) -> None:
        """Signal that deliveries are due."""
        await self._send(
            [
                message
                for (channel, lane), ids in ids_by_queue.items()
                for message in self._messages(
                    LANES[channel, lane], f"deliver_{channel}_{lane}", ids, alone=alone, size=_size(lane)
                )
            ]
        )

    async def ask(self, ids: Sequence[str], *, alone: bool = False) -> None:
        """Signal that a provider is to be asked whether it has these deliveries."""
        await self._send(self._messages(ASK, "ask", ids, alone=alone))

    async def tell_changes(self, ids: Sequence[str]) -> None:
        """Signal that subscriptions are to be told of changes."""
        await self._send(self._messages(CHANGES, "tell_changes", ids))

    async def depths(self) -> dict[str, int]:
        """The number of messages waiting in each queue; queues of an unreachable broker are missing."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._depths)

    async def ping(self) -> None:
        """Raise ConnectionError where the broker doesn't answer."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._ping)

    async def close(self) -> None:
        """Wait for the last signals, then close the broker's connections."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._broker.close)
        self._thread.shutdown()

    async def _decide(
        self, queue: str, actor: str, ids: Sequence[str], tries: int | None, *, alone: bool = False
    ) -> None:
        keywords = {} if tries is None else {"tries": tries}
        await self._send(self._messages(queue, actor, ids, alone=alone, **keywords))

    def _messages(
        self, queue: str, actor: str, ids: Sequence[str], *, alone: bool = False, size: int = IDS_A_MESSAGE,
        **keywords: Any,
    ) -> list[dramatiq.Message[None]]:  # fmt: skip
        keywords |= self._keywords
        if alone:
            return [_message(CAREFUL, actor, [id_], keywords) for id_ in ids]
        return [_message(queue, actor, list(part), keywords) for part in _parts(ids, size)]

    async def _send(self, messages: list[dramatiq.Message[None]]) -> None:
        if messages:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._enqueue, messages)

    def _enqueue(self, messages: list[dramatiq.Message[None]]) -> None:
        for number, message in enumerate(messages):
            try:
                self._broker.declare_queue(message.queue_name)
                self._broker.enqueue(message)
            except Exception as error:  # noqa: BLE001 (each broker has errors of its own, and none may stop the caller)
                for lost in messages[number:]:
                    metrics.signals_lost.labels(lost.queue_name).inc()
                lost_messages, name = len(messages) - number, type(error).__name__
                log.warning("signals.lost", queue=message.queue_name, messages=lost_messages, error=name)
                return

    def _ping(self) -> None:
        try:
            if isinstance(self._broker, RedisBroker):
                self._broker.client.ping()
            elif isinstance(self._broker, OnceRabbitmqBroker):
                self._broker.declare_queue(DECIDE, ensure=True)
                self._broker.waiting(DECIDE)
        except Exception as error:  # noqa: BLE001 (as above)
            raise ConnectionError(type(error).__name__) from None

    def _depths(self) -> dict[str, int]:
        try:
            return dict(self._measured())
        except Exception as error:  # noqa: BLE001 (as above)
            log.warning("signals.depth_unknown", error=type(error).__name__)
            return {}

    def _measured(self) -> Iterator[tuple[str, int]]:
        if isinstance(self._broker, RedisBroker):
            pipe = self._broker.client.pipeline(transaction=False)
            for queue in QUEUES:
                pipe.llen(f"{self._broker.namespace}:{queue}")
            yield from zip(QUEUES, pipe.execute(), strict=True)
        elif isinstance(self._broker, OnceRabbitmqBroker):
            for queue in QUEUES:
                self._broker.declare_queue(queue, ensure=True)
                yield queue, self._broker.waiting(queue)


def _size(lane: Lane) -> int:
    return IDS_OF_A_CAMPAIGN if lane == Lane.BULK else IDS_A_MESSAGE


def _parts(ids: Sequence[str], size: int) -> Iterable[Sequence[str]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))


def _message(queue: str, actor: str, ids: list[str], keywords: dict[str, Any]) -> dramatiq.Message[None]:
    return dramatiq.Message(
        queue_name=queue,
        actor_name=actor,
        args=(ids,),
        kwargs=keywords,
        options={},
        message_timestamp=current_millis(),
    )
