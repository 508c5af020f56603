"""Console: how long each page takes with a million deliveries in PostgreSQL, two of each event."""

import asyncio
import math
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from hashlib import md5
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import sqlalchemy as sa

from bench.servers import servers
from notifier.channels.sms.writing import SmsTexts
from notifier.demo.local import LocalSystem
from notifier.domain.catalog import NotificationType
from notifier.domain.clock import SECOND
from notifier.domain.users import Role, User, hash_password, make_password
from notifier.rendering.texts import encode, read_wording
from notifier.store.console import users, versions
from notifier.store.console.versions import Draft
from notifier.store.core.database import Database
from notifier.texts import publishing

RUNS = 30  # of each page
LIMIT = 100  # milliseconds that a page may take, 19 times of 20
PER_EVENT = 2  # deliveries
DRAFTED = "vehicle-not-ready"  # the type whose texts somebody writes: the most of them, on three channels
STEP = 20_000  # events written at once: a statement has its time-out here too

# Eight hours at full load: two deliveries an event, one in a hundred dead, 20,000 recipients, one rare type, and one
# event in fifty of the type that somebody writes texts for.
EVENTS = """
INSERT INTO event (id, source, source_id, type, subject, occurred_at, accepted_at, digest, data, tries, decided_at,
                   deliveries)
SELECT md5('event' || n), 'bench', n::text, 'charging.complete', 'S-' || n, at, at, '',
       CASE WHEN n % 50 = 1 THEN :drafted ELSE '{}' END, 0, at, 2
FROM (SELECT n, CAST(:now AS bigint) - (CAST(:events AS int) - n) * 60 AS at
      FROM generate_series(CAST(:first AS int), :last) AS n) AS numbered
"""
DELIVERIES = """
INSERT INTO delivery (id, event_id, recipient_id, type, channel, target, lane, about, state, reason, created_at,
                      updated_at, due_at, expires_at, attempts, crashes, step)
SELECT md5('delivery' || n || c), md5('event' || n), 'driver-' || n % 20000,
       CASE WHEN n = 7 THEN 'idle-warning' WHEN n % 50 = 1 THEN 'vehicle-not-ready' ELSE 'charging-complete' END,
       CASE c WHEN 1 THEN 'push' ELSE 'sms' END, '',
       'urgent', md5(n::text), CASE WHEN n % 50 = 0 AND c = 2 THEN 'failed' ELSE 'delivered' END,
       CASE WHEN n % 50 = 0 AND c = 2 THEN 'refused' END, at, at, at, at + 3600000, 1, 0, 0
FROM (SELECT n, CAST(:now AS bigint) - (CAST(:events AS int) - n) * 60 AS at
      FROM generate_series(CAST(:first AS int), :last) AS n) AS numbered,
     generate_series(1, 2) AS c
"""
AUDIT = """
INSERT INTO audit (id, at, actor, action, subject, detail)
SELECT md5('audit' || n), CAST(:now AS bigint) - n * 60, 'console:ada', 'dead.redrive', md5('event' || n), ''
FROM generate_series(CAST(:first AS int), :last) AS n
"""


async def console(events: int) -> dict[str, Any]:
    """The figures of every page; `slow` names those whose 95th percentile is over `LIMIT`."""
    with tempfile.TemporaryDirectory(prefix="notifier-bench-") as folder:
        async with servers() as settings, LocalSystem(Path(folder), settings, ("web", "clock")) as system:
            kind = system.catalog.types[DRAFTED]
            deliveries = await _fill(system.database, events, system.clock.now(), kind.samples[0].data)
            await _draft(system, kind)
            password = make_password()
            hashed = hash_password(password)
            ada = User(name="ada", role=Role.ADMIN, password_hash=hashed, created_at=system.clock.now())
            await users.add(system.database, ada, "bench")
            url = f"{system.settings.public_url}/console"
            async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
                await _sign_in(session, url, password)
                pages = {name: await _time(session, url + path) for name, path in _pages(deliveries)}
    slow = [name for name, page in pages.items() if page["p95_ms"] > LIMIT]
    return {"scenario": "console", "deliveries": deliveries, "slow": slow, "pages": pages}


def _pages(deliveries: int) -> Iterator[tuple[str, str]]:
    """Every page that reads what grows, in its dearest form too."""
    last = deliveries // PER_EVENT
    middle = f"{{}}?after={int(time.time() * SECOND) - last * 30}-{'f' * 32}"
    delivery, event = _md5(f"delivery{last}2"), _md5(f"event{last}")
    yield "health", "/health"
    yield "activity", "/activity"
    yield "activity, half a million back", middle.format("/activity")
    yield "activity, of a rare type", "/activity?type=idle-warning"
    yield "activity, two filters", "/activity?channel=sms&state=failed"
    yield "activity, of one recipient", "/activity?recipient=driver-7"
    yield "activity, of one recipient, rare", "/activity?recipient=driver-7&state=failed"
    yield "search, delivery", f"/search?q={delivery}"
    yield "search, source and id", f"/search?source=bench&q={last}"
    yield "search, recipient", "/search?q=driver-7"
    yield "search, nothing", "/search?q=nobody"
    yield "delivery", f"/deliveries/{delivery}"
    yield "event", f"/events/{event}"
    yield "dead", "/dead"
    yield "dead, half back", middle.format("/dead")
    yield "dead, of a reason that none has", "/dead?reason=throttled"
    yield "audit", "/audit"
    yield "audit, of who did nothing", "/audit?actor=nobody"
    yield "types", "/types"
    yield "editor", f"/types/{DRAFTED}/edit?locale=de&channel=sms"
    yield "publish", f"/types/{DRAFTED}/publish"
    yield "versions", f"/types/{DRAFTED}/versions"
    yield "what if", "/why"
    yield "users", "/users"
    yield "account", "/account"


def _md5(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()


async def _fill(database: Database, events: int, now: int, data: Mapping[str, Any]) -> int:
    """Write the rows, with this data in what made deliveries of `DRAFTED`; how many deliveries they are."""
    drafted = msgspec.json.encode(data).decode()
    async with database.engine.connect() as connection:
        free = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await free.execute(sa.text("SET statement_timeout = 0"))
        for first in range(1, events + 1, STEP):
            span = {"now": now, "events": events, "first": first, "last": min(first + STEP - 1, events)}
            await free.execute(sa.text(EVENTS), {**span, "drafted": drafted})
            await free.execute(sa.text(DELIVERIES), span)
            await free.execute(sa.text(AUDIT), {"now": now, "first": span["first"], "last": span["last"]})
        for table in ("event", "delivery", "audit"):
            await free.execute(sa.text(f"VACUUM ANALYZE {table}"))
        return int((await free.execute(sa.text("SELECT count(*) FROM delivery"))).scalar_one())


async def _draft(system: LocalSystem, kind: NotificationType) -> None:
    """Begin a draft that says another SMS in every language, so that there is much to try and to compare."""
    shipped = read_wording(system.settings.templates / kind.id, kind)
    changed = {
        locale: msgspec.structs.replace(texts, sms=SmsTexts("{{ brand }}: {{ vehicle }}. {{ link }}"))
        for locale, texts in shipped.items()
    }
    live = (await versions.live(system.database))[kind.id]
    begun = Draft(type=kind.id, wording=encode(shipped), based_on=live, revision=0, updated_at=0, actor="")
    await publishing.save(system.database, begun, changed, "console:ada", system.clock.now())


async def _sign_in(session: aiohttp.ClientSession, url: str, password: str) -> None:
    async with session.get(f"{url}/sign-in") as page:
        token = (await page.text()).partition('name="csrf" value="')[2][:64]
    form = {"csrf": token, "name": "ada", "password": password}
    async with session.post(f"{url}/sign-in", data=form) as answer:
        if not answer.url.path.endswith("/health"):
            raise RuntimeError("signing in failed")


async def _time(session: aiohttp.ClientSession, url: str) -> dict[str, float]:
    """Milliseconds that a page took until its last byte, and its size."""
    taken, size = [], 0
    for _ in range(RUNS):
        began = time.perf_counter()
        async with session.get(url, allow_redirects=False) as answer:
            size = len(await answer.read())
            if answer.status >= 500:
                raise RuntimeError(f"{url} was answered {answer.status}")
        taken.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(0)
    taken.sort()
    return {
        "p50_ms": round(statistics.median(taken), 1),
        "p95_ms": round(taken[math.ceil(0.95 * RUNS) - 1], 1),
        "kb": round(size / 1000, 1),
    }
