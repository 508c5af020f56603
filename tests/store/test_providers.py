"""What is known of a provider: changed by one process after the other, and read by all."""

import asyncio

from msgspec.structs import replace

from notifier.store.core.database import Database
from notifier.store.delivery import providers
from notifier.store.delivery.providers import SharedProviderState

ID = "provider:sms:test"


async def test_of_many_processes_that_change_it_at_once_none_loses_anothers_change(database_url: str) -> None:
    # Given processes with a database that knows nothing of a provider
    processes = [Database(database_url, connections=1) for _ in range(4)]

    def later(known: SharedProviderState) -> tuple[SharedProviderState, float]:
        return replace(known, spoken_for=known.spoken_for + 0.5), known.spoken_for

    # When each moves the same instant on, again and again
    found = await asyncio.gather(*(providers.change(process, ID, later) for process in processes for _ in range(10)))

    # Then each saw what another had left, and all steps were taken
    assert sorted(found) == [step / 2 for step in range(40)]
    assert await providers.read(processes[0], ID) == SharedProviderState(spoken_for=20.0)
    for process in processes:
        await process.close()


async def test_what_is_written_is_read_and_each_provider_has_its_own(database: Database) -> None:
    known = SharedProviderState(1_700_000_000_000.125, 1_700_000_000_001.0, 1_700_000_000_002.5, tripped=True)

    await providers.change(database, ID, lambda _: (known, None))

    assert await providers.read(database, ID) == known
    assert await providers.read(database, ID + "2") == SharedProviderState()


async def test_what_changes_nothing_writes_nothing(database: Database) -> None:
    assert await providers.change(database, ID, lambda known: (known, "seen")) == "seen"
    assert await providers.read(database, ID) == SharedProviderState()
