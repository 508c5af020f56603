"""The Compose file: it keeps to Compose's specification, confines what it runs, and runs what the Procfile does.

Its specification comes in a Python package that is fetched once; no container engine is needed.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from notifier.cli.supervise import STOP_TIMEOUT
from notifier.runtime.settings import Settings, load_settings
from tests.fetched import fetched

pytestmark = pytest.mark.timeout(600)  # what is needed is fetched once

DEPLOY = Path(__file__).parents[2] / "deploy"
PIP = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", "{}")
SPECIFICATION = ("compose-spec==0.2.1",)
OURS = {"web", "worker", "clock", "migration", "sandbox"}

VALIDATE = """
import sys
from compose_spec import PyCompose
composed = PyCompose.from_json(sys.stdin.read())
composed.validate()
composed.to_spec()
"""


@pytest.fixture
def composed() -> dict[str, Any]:
    """The Compose file, with what its services have in common in its place."""
    read: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return read


def validate(composed: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Hold a file against Compose's specification, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", VALIDATE], env={**os.environ, "PYTHONPATH": str(fetched(SPECIFICATION, *PIP))},
        input=json.dumps(composed), capture_output=True, text=True,
    )  # fmt: skip


def test_it_keeps_to_the_specification(composed: dict[str, Any]) -> None:
    # Given the file, and one with a mistake
    mistaken = {**composed, "services": {**composed["services"], "web": {"image": "notifier", "pots": ["8080"]}}}

    # When both are held against the specification
    # Then it is valid, and the mistake is seen
    assert validate(composed).returncode == 0, validate(composed).stderr
    assert validate(mistaken).returncode != 0


def test_what_is_ours_is_confined_and_all_that_the_procfile_starts(composed: dict[str, Any]) -> None:
    # Given the services
    services = composed["services"]
    processes = dict(line.split(": notifier ", 1) for line in (DEPLOY.parent / "Procfile").read_text().splitlines())

    # When those of ours are read
    # Then they write to memory alone, have no privileges, and start what the Procfile starts
    assert {name for name, each in services.items() if each["image"] == "notifier"} == OURS
    for name in OURS:
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]
        assert services[name]["security_opt"] == ["no-new-privileges:true"]
        assert len(services[name]["tmpfs"]) == 1
    for name, command in processes.items():
        assert services[name]["command"] == command.split()
        assert int(services[name]["stop_grace_period"].removesuffix("s")) > STOP_TIMEOUT


def test_the_web_process_is_reached_from_this_machine_alone(composed: dict[str, Any]) -> None:
    # Given the services
    # When their ports are read
    ports = {name: each["ports"] for name, each in composed["services"].items() if "ports" in each}

    # Then only the web process has one, for what ends TLS before it
    assert ports == {"web": ["127.0.0.1:8080:8080"]}


def test_the_example_is_good(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given the environment that the example sets
    for line in (DEPLOY / "example.env").read_text().splitlines():
        if not line.startswith("#"):
            name, _, value = line.partition("=")
            monkeypatch.setenv(name, value)

    # When settings are loaded from it, which refuses what it doesn't know
    # Then they are good
    assert isinstance(load_settings(), Settings)
