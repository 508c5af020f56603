"""Clients that others' tools make of the OpenAPI document call every operation of the happy path."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from notifier.store.core.schema import event
from tests.api.conftest import on_sqlite
from tests.api.server import Caller
from tests.api.test_openapi import DOCUMENT
from tests.conftest import absent
from tests.fetched import fetched
from tests.samples import EVENT

pytestmark = [on_sqlite, pytest.mark.timeout(300)]  # tools are fetched once, and started several times

HERE = Path(__file__).parent
FOR_PYTHON = ("openapi-python-client==0.29.1",)
FOR_TYPESCRIPT = ("openapi-fetch@0.17.0", "openapi-typescript@7.13.0", "typescript@5.9.3")
TYPESCRIPT = ("--strict", "--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom,dom.iterable")

ADA = {"id": "ada"}
LOCALS = {"id": "locals"}
AT_STATION = {"topic": "station:1", "recipient": "ada"}
IN_SESSIONS = {"country_code": "DE", "party_id": "ABC", "session_id": "S1"}
TOKEN = {"country_code": "DE", "party_id": "ABC", "uid": "T1", "type": "RFID", "contract_id": "DE-ABC-1"}
BEGUN = "2026-03-09T17:00:00Z"
SESSION = {
    "country_code": "DE", "party_id": "ABC", "id": "S1", "start_date_time": BEGUN, "kwh": 1.5, "cdr_token": TOKEN,
    "auth_method": "WHITELIST", "location_id": "LOC1", "evse_uid": "1", "connector_id": "1", "currency": "EUR",
    "status": "ACTIVE", "last_updated": BEGUN,
}  # fmt: skip
CONSENT = {"category": "offers", "channel": "all", "granted": True, "wording": "1", "source": "app"}
BINARY = {"ce_specversion": "1.0", "ce_id": "py-2", "ce_source": EVENT["source"], "ce_type": EVENT["type"]}
TRIAL = {"event": {"type": EVENT["type"], "data": EVENT["data"]}, "recipient": "ada"}
CONDITION = {"field": "locale", "operator": "eq", "value": "de"}

Call = tuple[str, dict[str, Any], str | None, Any, int]
CALLS: list[Call] = [
    ("put_recipient", ADA, "RecipientDetails", {"email": "ada@example.com"}, 204),
    ("patch_recipient", ADA, "PatchRecipientBody", {"locale": "de"}, 200),
    ("get_recipient", ADA, None, None, 200),
    ("put_device", {**ADA, "token": "t-1"}, "DeviceDetails", {"platform": "ios"}, 204),
    ("get_devices", ADA, None, None, 200),
    ("put_preferences", ADA, "Preferences", {"channels": {"sms": False}}, 204),
    ("patch_preferences", ADA, "PatchPreferencesBody", {"locale": "fr"}, 200),
    ("get_preferences", ADA, None, None, 200),
    ("get_preference_history", ADA, None, None, 200),
    ("post_consent", ADA, "Consent", CONSENT, 201),
    ("get_consents", ADA, None, None, 200),
    ("put_tenant", {"name": "network"}, "Defaults", {}, 204),
    ("get_tenant", {"name": "network"}, None, None, 200),
    ("put_segment", LOCALS, "Segment", {"name": "Locals", "all": [CONDITION]}, 204),
    ("get_segment", LOCALS, None, None, 200),
    ("get_segments", {}, None, None, 200),
    ("post_count", LOCALS, None, None, 200),
    ("put_subscriber", AT_STATION, None, None, 204),
    ("get_subscribers", {"topic": "station:1"}, None, None, 200),
    ("post_events", {}, "CloudEventPaymentFailed", {**EVENT, "id": "py-1"}, 202),
    ("post_events", BINARY, "EventPaymentFailed", EVENT["data"], 202),
    ("post_simulate", {}, "Trial", TRIAL, 200),
    ("get_explain", {"source": EVENT["source"], "id": "py-1"}, None, None, 200),
    ("post_cancel", {}, "Cancellation", {"event": {"source": EVENT["source"], "id": "py-1"}}, 200),
    ("put_session", IN_SESSIONS, "OcpiSession", SESSION, 200),
    ("patch_session", IN_SESSIONS, "SessionChanges", {"kwh": 2.5, "last_updated": "2026-03-09T17:05:00Z"}, 200),
    ("get_dead", {"limit": 10}, None, None, 200),
    ("get_ledger", {}, None, None, 200),
    ("post_preference_link", ADA, None, None, 200),
    ("get_export", ADA, None, None, 200),
    ("delete_subscriber", AT_STATION, None, None, 204),
    ("delete_segment", LOCALS, None, None, 204),
    ("delete_device", {**ADA, "token": "t-1"}, None, None, 204),
    ("delete_recipient", ADA, None, None, 202),
    ("get_health", {}, None, None, 200),
    ("get_readiness", {}, None, None, 200),
    ("get_problem", {"number": "42202"}, None, None, 200),
]


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The document as a file."""
    file = tmp_path_factory.mktemp("document") / "openapi.json"
    file.write_text(json.dumps(DOCUMENT))
    return file


@pytest.fixture(scope="module")
def python_client(document: Path) -> dict[str, str]:
    """The environment in which a generated Python client, the package `made`, can be imported from the document's
    folder."""
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", "{}")
    tools = fetched(FOR_PYTHON, *pip)
    environment = {**os.environ, "PYTHONPATH": str(tools)}
    made = document.parent / "made"
    generate = (sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none")
    subprocess.run(
        [*generate, "--path", document, "--output-path", made], check=True, env=environment, capture_output=True
    )
    return environment


@pytest.fixture(scope="module")
def typescript_client(document: Path) -> Path:
    """The happy path as a program, which the compiler has held against the types made of the document."""
    npm, node = (shutil.which(each) or absent(f"needs {each}") for each in ("npm", "node"))
    tools = fetched(FOR_TYPESCRIPT, npm, "install", "--silent", "--no-fund", "--no-audit", "--prefix", "{}")
    folder = document.parent
    modules = tools / "node_modules"
    (folder / "node_modules").symlink_to(modules)
    (folder / "package.json").write_text('{"type": "module"}')
    shutil.copy(HERE / "happy_path.ts", folder)
    types, source = str(folder / "made.d.ts"), str(folder / "happy_path.ts")
    for program, arguments in (
        ("openapi-typescript/bin/cli.js", [str(document), "--output", types]),
        ("typescript/bin/tsc", [*TYPESCRIPT, source]),
    ):
        done = subprocess.run([node, modules / program, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder / "happy_path.js"


async def ran(command: list[str], said: str = "", environment: dict[str, str] | None = None) -> Any:
    """The JSON that a program prints, beside which the server goes on."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    told, complaints = await process.communicate(said.encode())
    assert process.returncode == 0, complaints.decode()
    assert not complaints, complaints.decode()
    return json.loads(told)


async def test_a_generated_python_client_calls_every_operation(
    api: Caller, document: Path, python_client: dict[str, str]
) -> None:
    calls = json.dumps([call[:4] for call in CALLS])

    answers = await ran(
        [sys.executable, str(HERE / "call_generated.py"), str(document.parent), api.url, api.key], calls, python_client
    )

    # Then each is answered as told, and what comes back is what the document says
    assert [(name, status) for name, status, _ in answers] == [(call[0], call[4]) for call in CALLS]
    assert [model for _, _, model in answers if model == "Problem"] == []
    assert {"py-1", "py-2"} <= {row.source_id for row in await api.rows(event)}


async def test_a_generated_typescript_client_calls_every_operation(api: Caller, typescript_client: Path) -> None:
    node = shutil.which("node") or absent("needs node")

    answers = await ran([node, str(typescript_client), api.url, api.key])

    # Then each is answered as the same call of the other client, and batches are taken too
    expected = {call[0]: call[4] for call in CALLS}
    assert answers == [[name, expected[name]] for name, _ in answers]
    assert {f"ts-{number}" for number in (1, 2, 3, 4)} <= {row.source_id for row in await api.rows(event)}
