"""The console while its database is away."""

import sqlalchemy as sa

from notifier.store.core.schema import metadata
from tests.api.conftest import on_sqlite
from tests.console.conftest import Enter


@on_sqlite
async def test_a_page_says_that_the_database_does_not_answer_and_nothing_of_sql(enter: Enter) -> None:
    # Given somebody who has signed in, and a database without its tables
    visitor = enter()
    await visitor.sign_in("admin")
    async with visitor.engine.database.engine.begin() as connection:
        for name in ("delivery", "console_session"):
            await connection.execute(sa.schema.DropTable(metadata.tables[name]))

    # When pages are asked for, then they are told in words
    for path in ("/activity", "/health", "/audit"):
        answer = await visitor.get(path)
        assert answer.status in (500, 503)
        assert "SELECT" not in answer.body
        assert "console_session" not in answer.body
        assert answer.headers["Cache-Control"] == "no-store"
