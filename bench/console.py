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

from bench import ids
from bench.servers import servers
from notifier.channels.sms.writing import SmsTexts
from notifier.demo.local import LocalSystem
from notifier.domain.catalog import NotificationType
from notifier.domain.clock import SECOND
from notifier.domain.events import undated_id
from notifier.domain.ids import dated
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
REPORTED = "CREATE UNLOGGED TABLE reported (n int PRIMARY KEY, undated uuid, id uuid, at bigint)"
NUMBERS = """
INSERT INTO reported (n, undated, id, at)
SELECT n, undated, dated(undated, at), at
FROM (SELECT n, undated, CAST(:now AS bigint) - (CAST(:events AS int) - n) * 60 AS at
      FROM unnest(CAST(:numbers AS int[]), CAST(:undated AS uuid[])) AS given(n, undated)) AS numbered
"""
IDENTITIES = """
INSERT INTO identity (id, first_at) SELECT undated, at FROM reported WHERE n BETWEEN :first AND :last
"""
EVENTS = """
INSERT INTO event (id, source, source_id, type, subject, occurred_at, accepted_at, digest, data)
SELECT id, 'bench', n::text, 'charging.complete', 'S-' || n, at, at, undated,
       CASE WHEN n % 50 = 1 THEN :drafted ELSE '{}' END
FROM reported WHERE n BETWEEN :first AND :last
"""
PLANS = """
INSERT INTO plan (event_id, decided_at, deliveries)
SELECT id, at, 2 FROM reported WHERE n BETWEEN :first AND :last
"""
TALLIES = """
INSERT INTO tally (id, day, part, state, channel, reason, number)
SELECT CAST(md5('tally' || state || day) AS uuid), day, 'event', state, '', '',
       CASE state WHEN 'planned' THEN 2 ELSE 1 END * events
FROM (SELECT accepted_at / 86400000 AS day, count(*) AS events FROM event GROUP BY 1) AS days,
     unnest(ARRAY['accepted', 'decided', 'planned']) AS state
"""
DELIVERIES = """
INSERT INTO delivery (id, event_id, recipient_id, type, channel, target, lane, subject_key, state, created_at, due_at,
                      expires_at, step)
SELECT dated(CAST(md5('delivery' || n || c) AS uuid), at), id, 'driver-' || n % 20000,
       CASE WHEN n = 7 THEN 'idle-warning' WHEN n % 50 = 1 THEN 'vehicle-not-ready' ELSE 'charging-complete' END,
       CASE c WHEN 1 THEN 'push' ELSE 'sms' END, '',
       'urgent', CAST(md5(n::text) AS uuid), 'sending', at, at, at + 3600000, 0
FROM reported, generate_series(1, 2) AS c WHERE n BETWEEN :first AND :last
"""
OUTCOMES = """
INSERT INTO outcome (delivery_id, number, at, state, reason, attempts, started_at, answer, provider)
SELECT dated(CAST(md5('delivery' || n || c) AS uuid), at), 1, at,
       CASE WHEN n % 50 = 0 AND c = 2 THEN 'failed' ELSE 'delivered' END,
       CASE WHEN n % 50 = 0 AND c = 2 THEN 'refused' END, 1, at,
       CASE WHEN n % 50 = 0 AND c = 2 THEN 'refused' ELSE 'sent' END, 'main'
FROM reported, generate_series(1, 2) AS c WHERE n BETWEEN :first AND :last
"""
DEAD = """
INSERT INTO open_delivery (id, lane, channel, subject_key, state, reason, updated_at, due_at, attempts)
SELECT dated(CAST(md5('delivery' || n || 2) AS uuid), at), 'urgent', 'sms', CAST(md5(n::text) AS uuid), 'failed',
       'refused', at, at, 1
FROM reported WHERE n BETWEEN :first AND :last AND n % 50 = 0
"""
OVER = """
INSERT INTO tally (id, day, part, state, channel, reason, number)
SELECT CAST(md5('over' || d.created_at / 86400000 || d.channel) AS uuid), d.created_at / 86400000, 'delivery',
       'delivered', d.channel, '', count(*)
FROM delivery d LEFT JOIN open_delivery o ON o.id = d.id
WHERE o.id IS NULL GROUP BY d.created_at / 86400000, d.channel
"""
AUDIT = """
INSERT INTO audit (id, at, actor, action, subject, detail)
SELECT md5('audit' || n), CAST(:now AS bigint) - n * 60, 'console:ada', 'dead.redrive',
       translate(CAST(id AS text), '-', ''), ''
FROM reported WHERE n BETWEEN :first AND :last
"""
WRITTEN = (IDENTITIES, EVENTS, PLANS, DELIVERIES, OUTCOMES, DEAD, AUDIT)
"""What is written of the events from `first` to `last`."""


async def console(events: int) -> dict[str, Any]:
    """The figures of every page; `slow` names those whose 95th percentile is over `LIMIT`."""
    with tempfile.TemporaryDirectory(prefix="notifier-bench-") as folder:
        async with servers() as settings, LocalSystem(Path(folder), settings, ("web", "clock")) as system:
            kind = system.catalog.types[DRAFTED]
            now = system.clock.now()
            deliveries = await _fill(system.database, events, now, kind.samples[0].data)
            await _draft(system, kind)
            password = make_password()
            hashed = hash_password(password)
            ada = User(name="ada", role=Role.ADMIN, password_hash=hashed, created_at=system.clock.now())
            await users.add(system.database, ada, "bench")
            url = f"{system.settings.public_url}/console"
            async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
                await sign_in(session, url, password)
                pages = {name: await time_of(session, url + path) for name, path in _pages(deliveries, now)}
    slow = [name for name, page in pages.items() if page["p95_ms"] > LIMIT]
    return {"scenario": "console", "deliveries": deliveries, "slow": slow, "pages": pages}


def _pages(deliveries: int, now: int) -> Iterator[tuple[str, str]]:
    """Every page that reads what grows, in its dearest form too; the last event was accepted at `now`."""
    last = deliveries // PER_EVENT
    middle = f"{{}}?after={int(time.time() * SECOND) - last * 30}-{'f' * 32}"
    delivery = dated(md5(f"delivery{last}2".encode(), usedforsecurity=False).hexdigest(), now)
    event = dated(undated_id("bench", str(last)), now)
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
    yield "audit, of an actor without entries", "/audit?actor=nobody"
    yield "types", "/types"
    yield "editor", f"/types/{DRAFTED}/edit?locale=de&channel=sms"
    yield "publish", f"/types/{DRAFTED}/publish"
    yield "versions", f"/types/{DRAFTED}/versions"
    yield "what if", "/why"
    yield "users", "/users"
    yield "keys", "/keys"
    yield "account", "/account"


async def _fill(database: Database, events: int, now: int, data: Mapping[str, Any]) -> int:
    """Write the rows, with this data in what made deliveries of `DRAFTED`; how many deliveries they are."""
    drafted = msgspec.json.encode(data).decode()
    async with database.engine.connect() as connection:
        free = await connection.execution_options(isolation_level="AUTOCOMMIT")
        for statement in ("SET statement_timeout = 0", *ids.FUNCTIONS, REPORTED):
            await free.execute(sa.text(statement))
        for first in range(1, events + 1, STEP):
            numbers = range(first, min(first + STEP, events + 1))
            undated = [undated_id("bench", str(number)) for number in numbers]
            given = {"numbers": list(numbers), "undated": undated, "now": now, "events": events}
            await free.execute(sa.text(NUMBERS), given)
            span = {"first": numbers[0], "last": numbers[-1], "now": now, "drafted": drafted}
            for statement in WRITTEN:
                await free.execute(sa.text(statement), span)
        for statement in (TALLIES, OVER):
            await free.execute(sa.text(statement))
        for table in ("identity", "event", "plan", "delivery", "outcome", "open_delivery", "audit"):
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


async def sign_in(session: aiohttp.ClientSession, url: str, password: str) -> None:
    async with session.get(f"{url}/sign-in") as page:
        token = (await page.text()).partition('name="csrf" value="')[2][:64]
    form = {"csrf": token, "name": "ada", "password": password}
    async with session.post(f"{url}/sign-in", data=form) as answer:
        if not answer.url.path.endswith("/health"):
            raise RuntimeError("signing in failed")


async def time_of(session: aiohttp.ClientSession, url: str) -> dict[str, float]:
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
