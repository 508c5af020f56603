"""The doctor tries what the workers do."""

from pathlib import Path

import pytest

from notifier.doctor import Finding, examine
from notifier.sandbox import Sandbox
from notifier.settings import load_settings


async def findings(tmp_path: Path, part: str, **settings: str) -> list[Finding]:
    given = {f"NOTIFIER_{name.upper()}": value for name, value in settings.items()}
    database = {"NOTIFIER_DATABASE_URL": f"sqlite:///{tmp_path / 'notifier.db'}"}
    return [each for each in await examine(load_settings(database | given)) if each.part == part]


async def test_a_mail_server_is_asked_whether_it_takes_our_sender(tmp_path: Path) -> None:
    async with Sandbox(http_port=0, smtp_port=0) as sandbox:
        found = await findings(
            tmp_path, "e-mail", email_providers=f"smtp://127.0.0.1:{sandbox.smtp_port}", public_url="http://h.example"
        )

    # Then it is good, and that mailbox providers want https is told
    assert [each.verdict for each in found] == ["good", "missing"]
    assert "RFC 8058" in found[1].told


@pytest.mark.parametrize("scheme", ["smtp+starttls", "smtps"])
async def test_a_mail_server_without_the_encryption_that_is_asked_for_is_wrong(tmp_path: Path, scheme: str) -> None:
    async with Sandbox(http_port=0, smtp_port=0) as sandbox:
        found = await findings(
            tmp_path, "e-mail", email_providers=f"{scheme}://u:p@127.0.0.1:{sandbox.smtp_port}",
            public_url="https://h.example",
        )  # fmt: skip

    assert [each.verdict for each in found] == ["wrong"]


async def test_a_folder_of_metrics_that_cannot_be_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    (found,) = await findings(tmp_path, "metrics", metrics_dir=str(tmp_path / "file" / "metrics"))

    assert found.verdict == "wrong"
