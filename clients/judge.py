"""Whether what a client did is what its case demands."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from clients.server import Request, ScriptedServer
from clients.table import Case

KEY: Final = "ntf_the-key-of-the-table"
SOURCE: Final = "csms/table"
BATCH: Final = 1000
"""Events that a request may have."""
MAX_BODY: Final = 8 * 1024 * 1024
"""Bytes that the service reads of a request."""
AGENT: Final = re.compile(r"notifier-(python|java|typescript|go)/\d+\.\d+\.\d+")

Result = tuple[str, Mapping[str, Any]]
"""An event's id, and what its call came to."""


def judge(case: Case, server: ScriptedServer, results: Sequence[Result], unsent: list[str] | None, said: str) -> None:
    """Raise AssertionError where something else was seen than the case demands. `said` is all that a program wrote."""
    assert KEY not in said, "the key was written somewhere"
    _sound(server.requests)
    ids = [request.ids for request in server.requests]
    if case.requests is not None:
        assert ids == case.requests
    assert len(ids) >= case.requests_at_least
    assert case.requests_at_most is None or len(ids) <= case.requests_at_most, f"{len(ids)} requests"
    if case.sent is not None:
        assert {id_ for each in ids for id_ in each} == set(case.sent)
    for number, pause in enumerate(case.pauses):
        assert server.requests[number + 1].at - server.answered[number] >= pause
    for id_, result in results:
        assert _short(id_, result) == (case.results_all or case.results.get(id_)), (id_, result)
        if case.retry_after is not None:
            assert result["retry_after"] == case.retry_after
    told = {id_ for id_, _ in results}
    assert told >= set(case.results)
    assert not case.results_all or told == _asked(case)
    if case.unsent is not None:
        assert unsent is not None
        assert sorted(unsent) == sorted(case.unsent)


def spooled(file: Path) -> list[str]:
    """Return the ids of events that a spool holds: those of its lines that no later line settles."""
    open_: dict[tuple[str, str], None] = {}
    for line in file.read_bytes().split(b"\n") if file.exists() else ():
        try:
            told = json.loads(line)
        except ValueError:  # torn, or being written
            continue
        if isinstance(told, dict):
            open_[told["source"], told["id"]] = None
        else:
            for source, id_ in told:
                open_.pop((source, id_), None)
    return [id_ for _, id_ in open_]


def _asked(case: Case) -> set[str]:
    return {id_ for step in case.program for call in step.calls for id_ in call}


def _short(id_: str, result: Mapping[str, Any]) -> str | int:
    match result:
        case {"accepted": event}:
            return "accepted" if event == f"e-{id_}" else f"accepted as {event}"
        case {"code": 0, "status": status}:
            return f"status {status}"
        case {"code": int(code)}:
            return code
        case {"failed": str(how)}:
            return how
        case _:
            return f"no result of ours: {result}"


def _sound(requests: Sequence[Request]) -> None:
    """Hold what is so of every request, whatever its case."""
    first: dict[str, dict[str, Any]] = {}
    for request in requests:
        assert request.headers[":"] == "POST /v1/events HTTP/1.1"
        assert request.headers["authorization"] == f"Bearer {KEY}"
        assert request.headers["content-type"] == "application/cloudevents-batch+json"
        assert AGENT.match(request.headers["user-agent"]), request.headers["user-agent"]
        assert 0 < len(request.events) <= BATCH
        assert request.size <= MAX_BODY
        for event in request.events:
            assert event["specversion"] == "1.0"
            assert event["source"] == SOURCE
            assert event["type"] == "charging.complete"
            assert event["data"]["n"] == event["id"]
            assert first.setdefault(event["id"], event) == event, "a repeat that says something else"
