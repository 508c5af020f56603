"""A local system: what its processes are told of each other."""

from pathlib import Path

import aiohttp

from notifier.demo.local import LocalSystem
from notifier.domain.recipients import RecipientDetails
from notifier.store.people import recipients


async def test_the_sandbox_of_a_local_system_opens_peoples_inboxes_in_the_app(tmp_path: Path, valkey: str) -> None:
    async with (
        LocalSystem(tmp_path, {"broker_url": valkey}, processes=("web",)) as system,
        aiohttp.ClientSession() as session,
    ):
        # Given
        await recipients.put(system.database, {"ada": RecipientDetails(name="Ada")}, system.clock.now())

        # When somebody looks at Ada's app in the sandbox, and the app has a token made
        async with session.get(f"{system.sandbox_url}/app?app=ada") as response:
            page = await response.text()
        async with session.post(f"{system.sandbox_url}/app/token?app=ada") as response:
            token = await response.text()

        # Then it is the component of this system's web process, which the token opens
        web = system.settings.public_url
        assert f'<notifier-inbox src="{web}" data-person="ada">' in page
        async with session.get(f"{web}/v1/inbox", headers={"Authorization": f"Bearer {token}"}) as response:
            assert (response.status, (await response.json())["items"]) == (200, [])
        for name in ("sandbox", "web"):
            assert token not in (tmp_path / f"{name}.log").read_text("utf-8")
