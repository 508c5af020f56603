"""Through the real pgbouncer in transaction mode, and by what libpq's URLs say."""

import asyncio
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.store.core.database import Database
from tests.conftest import absent, server_url

PREPARES = (1, 21)  # the first version of pgbouncer that hands prepared statements on


@pytest.fixture(params=["transaction", "prepared"])
def pooler_url(request: pytest.FixtureRequest, tmp_path: Path, unused_tcp_port: int) -> Iterator[str]:
    """A pgbouncer with two servers' connections behind it, which each transaction may have either of."""
    program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
    if not Path(program).exists():
        absent("needs pgbouncer (Debian's package of that name)")
    if request.param == "prepared" and _version(program) < PREPARES:
        pytest.skip("Debian 12's pgbouncer hands no prepared statement on: needs 1.21")
    server = urlsplit(server_url("postgresql"))
    name = server.path.strip("/")
    folder = tmp_path / "pgbouncer"
    folder.mkdir()
    users, ini = folder / "users", folder / "pgbouncer.ini"
    users.write_text(f'"{server.username}" "{server.password}"\n')
    ini.write_text(
        f"[databases]\n{name} = host={server.hostname} port={server.port or 5432} dbname={name}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {unused_tcp_port}\nunix_socket_dir =\n"
        f"auth_type = md5\nauth_file = {users}\npool_mode = transaction\ndefault_pool_size = 2\n"
        f"server_round_robin = 1\n{'max_prepared_statements = 100' if request.param == 'prepared' else ''}\n"
    )
    command = [program, str(ini)]
    if os.geteuid() == 0:  # which it refuses to run as
        nobody = pwd.getpwnam("nobody")
        for path in (folder, users, ini):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
        for path in (tmp_path, *tmp_path.parents[:2]):
            path.chmod(0o755)
        command = [*command[:1], "-u", "nobody", *command[1:]]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as pooler:
        assert pooler.stderr is not None
        for line in pooler.stderr:
            if "process up" in line:
                break
        there = f"127.0.0.1:{unused_tcp_port}/{name}?pooler={request.param}"
        yield f"postgresql://{server.username}:{server.password}@{there}"
        pooler.terminate()


def _version(program: str) -> tuple[int, ...]:
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(map(int, told.split()[1].split(".")[:2]))


async def test_a_pooler_gives_each_transaction_another_server_and_nothing_is_missed(pooler_url: str) -> None:
    # Given a database behind it
    database = Database(pooler_url, connections=6)
    seen: set[int] = set()

    async def work(connection: AsyncConnection) -> None:
        statement = sa.text("SELECT pg_backend_pid(), CAST(:json AS json), CAST(:number AS integer)")
        for number in range(3):
            row = (await connection.execute(statement, {"json": '{"a": 1}', "number": number})).one()
            assert row[2] == number
            seen.add(row[0])

    # When many read, write and look at once, then each statement finds itself
    try:
        await asyncio.gather(*(do(work) for _ in range(20) for do in (database.read, database.write, database.look)))
        assert len(seen) == 2
    finally:
        await database.close()


async def test_what_libpq_says_in_a_url_reaches_the_server() -> None:
    said = "sslmode=prefer&application_name=notifier%20web&connect_timeout=3&options=-c%20work_mem%3D5MB"
    database = Database(f"{server_url('postgresql')}?{said}", connections=1)

    async def work(connection: AsyncConnection) -> tuple[str, str, str]:
        found = "current_setting('application_name'), current_setting('work_mem'), current_setting('jit')"
        return tuple((await connection.execute(sa.text(f"SELECT {found}"))).one())

    try:
        assert await database.read(work) == ("notifier web", "5MB", "off")
    finally:
        await database.close()
