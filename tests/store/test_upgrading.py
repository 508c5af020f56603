"""Upgrades that are killed, that meet others, and that take longer than anything else may."""

import asyncio
import signal
import sys
from contextlib import suppress

import pytest
import sqlalchemy as sa

from notifier.runtime.settings import environment
from notifier.store.core import migrate
from notifier.store.core.database import Database
from notifier.store.core.resumable import Tell
from notifier.store.core.schema import metadata
from tests.store.conftest import Ended, differences

KILLS = 4  # of a real process: the others below are of this one, after every change
STEPS = 12  # changes of which the processes are killed at the last
SECOND = "column event.cursor"  # the first change of the second revision


async def test_an_upgrade_that_is_ended_at_any_of_its_changes_is_run_again_and_ends_well(bare: Database) -> None:
    # Given an upgrade that ends at each change that it never came to before: at a few where an engine takes them back
    seen: set[str] = set()
    each = 1 if bare.dialect == "mysql" else 5

    def tell(what: str) -> None:
        if what not in seen:
            seen.add(what)
            if len(seen) % each == 0:
                raise Ended

    # When it is run again each time, on what was left behind
    current, newest = await migrate.revisions(bare)
    while current != newest:
        with suppress(Ended):
            await migrate.upgrade(bare, tell)
        current, _ = await migrate.revisions(bare)

    # Then it comes to its end, and the tables are those that the code describes
    assert len(seen) > len(metadata.tables)
    await _is_whole(bare)


async def test_processes_that_are_killed_leave_nothing_that_another_can_not_go_on_with(
    bare: Database, bare_url: str
) -> None:
    # Given a database at the first revision: of one without tables a process tells no changes
    with pytest.raises(Ended):
        await migrate.upgrade(bare, _until(SECOND))

    for kill in range(KILLS):
        # When a process that upgrades it is killed at one of its changes
        process = await _start(bare_url)
        assert process.stderr is not None
        for _ in range(STEPS * kill + 1):
            await process.stderr.readline()
        with suppress(ProcessLookupError):  # it has come to its end
            process.send_signal(signal.SIGKILL)
        await process.communicate()

    # Then the next one ends well
    process = await _start(bare_url)
    _, told = await process.communicate()
    assert process.returncode == 0, told.decode()
    await _is_whole(bare)


async def test_of_three_at_once_one_works_and_the_others_wait(bare: Database, bare_url: str) -> None:
    # Given a database at the first revision: of one without tables a process tells no changes
    with pytest.raises(Ended):
        await migrate.upgrade(bare, _until(SECOND))

    # When three processes upgrade it at once
    processes = [await _start(bare_url) for _ in range(3)]
    told = [await process.communicate() for process in processes]

    # Then all end well, and each change was made by one of them
    assert [process.returncode for process in processes] == [0, 0, 0], told
    done = [line for _, errors in told for line in errors.decode().splitlines() if " is done: " in line]
    assert len(done) == len(set(done)) > 1
    await _is_whole(bare)


async def test_who_finds_another_at_it_says_so_and_waits(bare: Database) -> None:
    # Given an upgrade that stands still
    begun, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    async def holds() -> None:
        patient = bare.patient()
        async with patient.engine.connect() as connection, migrate.alone(patient, connection, migrate.quiet):
            begun.set()
            await go_on.wait()
        await patient.close()

    holding = loop.create_task(holds())
    await begun.wait()

    # When another begins, then it says that it waits
    told: asyncio.Queue[str] = asyncio.Queue()
    waiting = loop.create_task(migrate.upgrade(bare, told.put_nowait))
    assert "waiting" in await told.get()
    assert await migrate.revisions(bare) == (None, (await migrate.revisions(bare))[1])

    # And it works once the first has ended
    go_on.set()
    await holding
    await waiting
    await _is_whole(bare)


async def test_an_upgrade_may_take_longer_than_any_other_statement(bare: Database) -> None:
    if bare.dialect != "postgresql":
        pytest.skip("no other engine is told a limit for statements")
    patient = bare.patient()

    async with patient.engine.connect() as connection:
        limits = [
            (await connection.execute(sa.text(f"SHOW {name}"))).scalar_one()
            for name in ("statement_timeout", "idle_in_transaction_session_timeout")
        ]
    await patient.close()

    assert limits == ["0", "0"]


async def test_people_keep_their_switches_where_moving_them_is_ended_halfway(bare: Database) -> None:
    # Given somebody who switched something off, at the first revision
    with pytest.raises(Ended):
        await migrate.upgrade(bare, _until(SECOND))
    row = {
        "id": "ada", "kind": "driver", "locale": "de", "time_zone": "Europe/Berlin", "created_at": 0, "updated_at": 0,
        "switches": '{"charging":{"sms":false}}',
    }  # fmt: skip
    async with bare.engine.begin() as connection:
        names = ", ".join(row)
        await connection.execute(
            sa.text(f"INSERT INTO recipient ({names}) VALUES ({', '.join(f':{name}' for name in row)})"),  # noqa: S608
            row,
        )

    # When the upgrade is ended once its switches have moved, and run again
    with pytest.raises(Ended):
        await migrate.upgrade(bare, _until("table preference_change"))
    await migrate.upgrade(bare)

    # Then they are where they belong
    async with bare.engine.connect() as connection:
        found = (await connection.execute(sa.text("SELECT preferences FROM recipient"))).scalar_one()
    assert found == '{"switches":{"charging":{"sms":false}}}'


async def _start(url: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "notifier.cli", "db", "upgrade",
        env=environment({"database_url": url}), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def _is_whole(database: Database) -> None:
    current, newest = await migrate.revisions(database)
    async with database.engine.connect() as connection:
        assert (current, await connection.run_sync(differences)) == (newest, [])


def _until(last: str) -> Tell:
    """A listener that ends an upgrade before a change."""

    def tell(what: str) -> None:
        if what.startswith(last):
            raise Ended

    return tell
