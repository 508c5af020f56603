"""Bulk import of recipients: NDJSON, one JSON object with an id per line."""

from collections.abc import AsyncIterable, Mapping
from typing import Any

import msgspec

from notifier.domain.addresses import NO_SETTINGS
from notifier.domain.clock import Clock
from notifier.domain.errors import Problem, StoreUnavailable
from notifier.domain.problems import UNDECODABLE, from_decoding, problem
from notifier.domain.reading import unmarked
from notifier.domain.recipients import ImportLine, RecipientDetails
from notifier.store.core.database import Database
from notifier.store.people import recipients

BATCH = 500  # recipients written in one transaction
MAX_LINE = 64 * 1024  # bytes of one recipient's JSON
TOLD_REFUSALS = 100  # refused lines that the response lists; it counts all of them


class RefusedLine(msgspec.Struct, frozen=True):
    """A line that was refused, and why."""

    line: int
    problem: dict[str, Any]


class ImportAnswer(msgspec.Struct, kw_only=True):
    """The number of lines written and refused, and the first refused ones."""

    written: int = 0
    refused: int = 0
    refusals: list[RefusedLine] = []

    def refuse(self, line: int, error: Problem) -> None:
        """Count a refused line, and list it while there is room."""
        self.refused += 1
        if len(self.refusals) < TOLD_REFUSALS:
            self.refusals.append(RefusedLine(line, error.body()))


async def import_recipients(
    database: Database, clock: Clock, lines: AsyncIterable[bytes], actor: str, settings: Mapping[str, str] = NO_SETTINGS
) -> ImportAnswer:
    """Write recipients in batches as lines come in; an invalid line is reported and keeps no other out.

    Preferences that lines give are changes of `actor`'s. `settings` are those of channels. Unlike a single write, a
    line gives an address of one channel alone with what is never shown of it.
    """
    told = ImportAnswer()
    batch: dict[str, RecipientDetails] = {}
    number = before = 0
    async for line in lines:
        number += 1
        if not unmarked(line).strip():
            continue
        try:
            if len(line) > MAX_LINE:
                raise problem(41301, f"the line has more than {MAX_LINE} bytes, which is the limit")
            given = msgspec.json.decode(unmarked(line), type=ImportLine)
            details = given.checked(settings)
        except Problem as error:
            told.refuse(number, error)
            continue
        except (*UNDECODABLE, ValueError) as error:
            told.refuse(number, to_problem(error))
            continue
        # If a recipient occurs twice, the later line wins, as it would in two calls.
        told.written += 1
        batch[given.id] = details
        if len(batch) == BATCH:
            before = await _write(database, batch, clock.now(), actor, told, before)
            batch.clear()
    await _write(database, batch, clock.now(), actor, told, before)
    return told


async def _write(
    database: Database, batch: Mapping[str, RecipientDetails], now: int, actor: str, told: ImportAnswer, before: int
) -> int:
    """Write a batch; Problem 50301 with the number of recipients written before, where the store is away."""
    try:
        await recipients.put(database, batch, now, actor)
    except StoreUnavailable:
        detail = f"the database does not answer; the first {before} good lines are written; send the others again"
        raise problem(50301, detail, written=before, refused=told.refused) from None
    return told.written


def to_problem(error: Exception) -> Problem:
    """The problem for invalid details: from msgspec's error, or from an address check, which names its field first."""
    if isinstance(error, UNDECODABLE):
        return from_decoding(42203, error)
    field, _, _ = str(error).partition(" ")
    return problem(42203, str(error), f"/{field.replace('.', '/')}")
