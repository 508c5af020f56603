"""What the doctor says of a service account: it asks for the token that a push needs."""

import json
from pathlib import Path

import pytest

from notifier.channels.push.provider import check
from notifier.runtime.finding import DoctorFinding
from notifier.runtime.settings import load_settings
from tests.channels import canary
from tests.channels.provider import Handler, Provider, drop, reply
from tests.channels.push.samples import TOKEN_ENDPOINT, grant


async def finding(folder: Path, service_account: dict[str, str]) -> DoctorFinding:
    file = folder / "service-account.json"
    file.write_text(json.dumps(service_account))
    (found,) = [each async for each in check(load_settings({"NOTIFIER_PUSH_PROVIDERS": f"fcm://{file}"}))]
    return found


async def test_a_service_account_that_is_given_a_token_is_good(
    service_account: dict[str, str], provider: Provider, tmp_path: Path
) -> None:
    provider.answers(TOKEN_ENDPOINT, reply(200, grant(1)))

    found = await finding(tmp_path, service_account)

    assert found.verdict == "good"
    assert "project p by https://fcm.googleapis.com" in found.told
    assert canary.SECRET not in found.told


@pytest.mark.parametrize(
    ("answer", "way_out"),
    [(reply(400, {"error": "invalid_grant"}), "generate a new key"), (drop, "token_uri"), (reply(503), "token_uri")],
    ids=["revoked", "cut off", "unavailable"],
)
async def test_a_service_account_that_is_given_none_is_wrong_and_the_way_out_fits(
    service_account: dict[str, str], provider: Provider, tmp_path: Path, answer: Handler, way_out: str
) -> None:
    provider.answers(TOKEN_ENDPOINT, answer)

    found = await finding(tmp_path, service_account)

    assert found.verdict == "wrong"
    assert way_out in found.way_out


async def test_a_service_account_without_a_project_is_wrong(service_account: dict[str, str], tmp_path: Path) -> None:
    found = await finding(tmp_path, service_account | {"project_id": ""})

    assert found.verdict == "wrong"
    assert "names no project_id" in found.told
