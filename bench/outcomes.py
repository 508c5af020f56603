"""Outcomes: how long reading them takes, by the sums that ten million deliveries of two months leave in PostgreSQL."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import sqlalchemy as sa

from bench.console import sign_in, time_of
from bench.options import DatabaseKind
from bench.servers import servers
from notifier.demo.local import LocalSystem
from notifier.domain.effects import HOURS_OF_A_DAY, first_by_hour, hour_of
from notifier.domain.users import Role, User, hash_password, make_password
from notifier.pipeline.counting import FOLDED, LATEST, PAST
from notifier.store.console import users
from notifier.store.core.database import Database
from notifier.store.delivery import effects

DAYS = 60
LOCALES = ("en", "de", "fr", "es")
CHANNELS = ("push", "sms", "email", "inbox")
STATES = (
    "sent", "delivered", "undelivered", "failed", "suppressed", "superseded", "cancelled", "expired", "opened", "read",
)  # fmt: skip
SOON = 8  # of the thirty parts of the time in which an outcome is awaited: most come in the first few
LIMIT = 300  # milliseconds that an answer may take, 19 times of 20, also where the machine does other work

FILL = """
INSERT INTO effect (id, number, hour, after, type, channel, locale, variant, what)
SELECT gen_random_uuid(), 1 + (random() * :each)::bigint, hour, after, type, channel, locale, '', what
FROM unnest(CAST(:hours AS int[])) AS hours(hour), unnest(CAST(:types AS text[])) AS types(type),
     unnest(CAST(:channels AS text[])) AS channels(channel), unnest(CAST(:locales AS text[])) AS locales(locale),
     unnest(CAST(:whats AS text[])) AS whats(what), generate_series(0, :steps) AS after
"""


async def outcomes(database: DatabaseKind) -> dict[str, Any]:
    """Milliseconds of each answer; `slow` names those whose 95th percentile is over `LIMIT`."""
    if database != "postgresql":
        return {"scenario": "outcomes", "skipped": "its rows are written by PostgreSQL"}
    with tempfile.TemporaryDirectory(prefix="notifier-bench-") as folder:
        async with servers() as settings, LocalSystem(Path(folder), settings, ("web",)) as system:
            written = await _fill(system.database, system)
            password = make_password()
            ada = User(name="ada", role=Role.VIEWER, password_hash=hash_password(password), created_at=0)
            await users.add(system.database, ada, "bench")
            url = system.settings.public_url
            answers = {}
            async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {system.key}"}) as session:
                for name, path in _paths():
                    answers[name] = await time_of(session, url + path)
            async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
                await sign_in(session, f"{url}/console", password)
                for name, path in _pages():
                    answers[name] = await time_of(session, f"{url}/console{path}")
            hour = hour_of(system.clock.now())
            each, past = [await _merge(system.database, hour - back) for back in (LATEST - 1, PAST)]
    slow = [name for name, answer in answers.items() if answer["p95_ms"] > LIMIT]
    return {
        "scenario": "outcomes",
        "rows": written,
        "slow": slow,
        "answers": answers,
        "merging_ms": {"each": each, "past": past},
    }


def _paths() -> Iterator[tuple[str, str]]:
    yield "of all types, 30 days", "/v1/outcomes"
    yield "of one type", "/v1/outcomes?type=idle-warning"
    yield "of one type by day", "/v1/outcomes?type=idle-warning&by=day"
    yield "of one type by hour", "/v1/outcomes?type=idle-warning&by=hour"
    yield "of one type by channel", "/v1/outcomes?type=idle-warning&by=channel"
    yield "of all types by day", "/v1/outcomes?by=day"


def _pages() -> Iterator[tuple[str, str]]:
    yield "page of all types", "/outcomes"
    yield "page of one type", "/outcomes/idle-warning"


async def _merge(database: Database, since: int) -> float:
    """Milliseconds in which a clock finds that nothing is to be merged."""
    began = time.perf_counter()
    await effects.fold(database, FOLDED, since)
    return round((time.perf_counter() - began) * 1000, 1)


async def _fill(database: Database, system: LocalSystem) -> int:
    """Write the sums: of each day one of a kind, and of the last three days one of a kind and hour."""
    now = system.clock.now()
    first = first_by_hour(now)
    hours = [*range(first - DAYS * HOURS_OF_A_DAY, first, HOURS_OF_A_DAY), *range(first, hour_of(now) + 1)]
    kinds = system.catalog.types.values()
    every, awaited = [kind.id for kind in kinds], [kind.id for kind in kinds if kind.outcome is not None]
    given = {"hours": hours, "locales": list(LOCALES), "each": 10}
    deliveries = given | {"types": every, "channels": list(CHANNELS), "whats": list(STATES), "steps": 0}
    people = given | {"types": awaited, "channels": ["", *CHANNELS]}
    async with database.engine.connect() as connection:
        free = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await free.execute(sa.text("SET statement_timeout = 0"))
        for rows in (
            deliveries,
            people | {"whats": ["exposed"], "steps": 0, "each": 1_000},
            people | {"whats": ["answered"], "steps": SOON - 1},
        ):
            await free.execute(sa.text(FILL), rows)
        await free.execute(sa.text("VACUUM ANALYZE effect"))
        return int((await free.execute(sa.text("SELECT count(*) FROM effect"))).scalar_one())
