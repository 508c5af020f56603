"""A pgbouncer before PostgreSQL, in transaction mode and with its defaults otherwise."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.chaos.clusters.server import Server, folder_of, free_ports, program
from notifier.chaos.proxy import HOST
from notifier.store.core import migrate
from notifier.store.core.database import Database
from notifier.store.core.engines import SESSION

USER = "postgres"  # whom it runs as: it refuses to be root's


@asynccontextmanager
async def pooled(url: str) -> AsyncIterator[str]:
    """Bring a PostgreSQL database up to date, start a pgbouncer before it, and yield the URL by way of that."""
    await _prepare(url)
    behind = sa.make_url(url)
    (port,) = free_ports(1)
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(folder_of(USER))
        users, settings = folder / "users", folder / "pgbouncer.ini"
        users.write_text(f'"{behind.username}" "{behind.password or ""}"\n')
        settings.write_text(
            f"[databases]\n* = host={behind.host} port={behind.port or 5432}\n"
            f"[pgbouncer]\nlisten_addr = {HOST}\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = md5\nauth_file = {users}\npool_mode = transaction\n"
        )
        for file in (users, settings):
            file.chmod(0o644)  # the folder is its user's alone
        server = Server("pgbouncer", [program("pgbouncer", "pgbouncer"), settings], folder, USER)
        await stack.enter_async_context(server)

        async def answers() -> bool:
            _, writer = await asyncio.open_connection(HOST, port)
            writer.close()
            return True

        await server.ready(answers)
        there = behind.set(host=HOST, port=port, query={"pooler": "transaction"})
        yield there.render_as_string(hide_password=False)


async def _prepare(url: str) -> None:
    """Migrate the database on its server itself, and give it the settings that sessions through a pooler can't set."""

    async def settle(connection: AsyncConnection) -> None:
        for name, value in SESSION.items():
            await connection.execute(sa.text(f"ALTER DATABASE {sa.make_url(url).database} SET {name} = '{value}'"))

    database = Database(url, connections=1)
    try:
        await migrate.upgrade(database)
        await database.write(settle)
    finally:
        await database.close()
