"""The program of the behaviour table in Python: `Producer` on threads or, by `--asyncio`, `AsyncProducer`."""

import asyncio
import json
import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

from notifier.client import AsyncProducer, Producer, ServiceUnavailable
from notifier.domain.errors import Problem

Results = list[tuple[str, dict[str, Any]]]


def opening(told: dict[str, Any]) -> dict[str, Any]:
    """Return a producer's arguments."""
    names = ("url", "key", "source", "timeout", "request_timeout", "spool")
    given = {name: told[name] for name in names}
    return given | ({"spool_bytes": told["spool_bytes"]} if told["spool_bytes"] else {})


def event(told: dict[str, Any]) -> dict[str, Any]:
    """Return an event as its case wants it."""
    data: dict[str, Any] = {"n": told["id"], "padding": told["padding"]}
    if told["impossible"]:
        data["it"] = object()
    if told["half_character"]:
        data["it"] = "\ud800"
    return {"type": "charging.complete", "id": told["id"], "data": data}


def ended(call: Callable[[], Sequence[str | Problem]], ids: list[str]) -> Results:
    """Return what a call came to, event by event."""
    try:
        told = [as_result(each) for each in call()]
    except Exception as error:  # noqa: BLE001 (it is told as it is)
        told = [as_failure(error)] * len(ids)
    return list(zip(ids, told, strict=True))


def as_failure(error: Exception) -> dict[str, Any]:
    """Return what a call came to that raised."""
    match error:
        case Problem():
            return as_result(error)
        case ServiceUnavailable():
            return {"failed": "unavailable", "retry_after": error.retry_after}
        case RuntimeError():
            return {"failed": "closed"}
        case TypeError() | UnicodeEncodeError():
            return {"failed": "invalid"}
        case _:
            return {"failed": repr(error)}


def as_result(told: str | Problem) -> dict[str, Any]:
    """Return what an event came to."""
    return {"accepted": told} if isinstance(told, str) else {"code": told.code, "status": told.status}


class OnThreads:
    """A thread for each call."""

    def __init__(self) -> None:
        self._producer: Producer
        self._threads: list[threading.Thread] = []
        self._results: Results = []

    async def open(self, told: dict[str, Any]) -> dict[str, Any]:
        self._producer = Producer(**opening(told))
        self._producer.__enter__()
        return {}

    async def start(self, told: dict[str, Any]) -> dict[str, Any]:
        for call in told["calls"]:
            self._threads.append(threading.Thread(target=self._call, args=(call, told["many"])))
            self._threads[-1].start()
        return {}

    def _call(self, call: list[dict[str, Any]], many: bool) -> None:
        events = [event(each) for each in call]

        def send() -> Sequence[str | Problem]:
            return self._producer.send_many(events) if many else [self._producer.send(**events[0])]

        self._results += ended(send, [each["id"] for each in call])

    async def finish(self, _told: dict[str, Any]) -> dict[str, Any]:
        for thread in self._threads:
            thread.join()
        results, self._results, self._threads = self._results, [], []
        return {"results": results}

    async def close(self, told: dict[str, Any]) -> dict[str, Any]:
        return {"unsent": self._producer.close(told["timeout"])}

    async def show(self, _told: dict[str, Any]) -> dict[str, Any]:
        return {"shown": f"{self._producer!r} {self._producer}"}

    async def fork(self, told: dict[str, Any]) -> dict[str, Any]:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            for call in told["calls"]:
                self._call(call, many=False)
            os.write(write, json.dumps(self._results).encode())
            os._exit(0)
        os.close(write)
        await asyncio.to_thread(os.waitpid, child, 0)
        with os.fdopen(read) as results:
            return {"results": json.load(results)}


class OnALoop:
    """A task for each call."""

    def __init__(self) -> None:
        self._producer: AsyncProducer
        self._tasks: list[asyncio.Task[Results]] = []

    async def open(self, told: dict[str, Any]) -> dict[str, Any]:
        self._producer = AsyncProducer(**opening(told))
        await self._producer.__aenter__()
        return {}

    async def start(self, told: dict[str, Any]) -> dict[str, Any]:
        self._tasks += [asyncio.create_task(self._call(call, told["many"])) for call in told["calls"]]
        await asyncio.sleep(0)
        return {}

    async def _call(self, call: list[dict[str, Any]], many: bool) -> Results:
        events = [event(each) for each in call]
        try:
            told = await self._producer.send_many(events) if many else [await self._producer.send(**events[0])]
        except Exception as error:  # noqa: BLE001 (it is told as it is)
            return [(each["id"], as_failure(error)) for each in call]
        return [(each["id"], as_result(result)) for each, result in zip(call, told, strict=True)]

    async def finish(self, _told: dict[str, Any]) -> dict[str, Any]:
        tasks, self._tasks = self._tasks, []
        return {"results": [result for results in await asyncio.gather(*tasks) for result in results]}

    async def close(self, told: dict[str, Any]) -> dict[str, Any]:
        return {"unsent": await self._producer.close(told["timeout"])}

    async def show(self, _told: dict[str, Any]) -> dict[str, Any]:
        return {"shown": f"{self._producer!r} {self._producer}"}


async def main(program: OnThreads | OnALoop) -> None:
    """Do what each line says."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        told = json.loads(line)
        try:
            answer = await getattr(program, told["do"])(told)
        except (RuntimeError, OSError) as error:
            answer = {"error": str(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(OnALoop() if "--asyncio" in sys.argv else OnThreads()))
