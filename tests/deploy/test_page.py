"""docs/deploy.md: what it names exists, and the configuration that it shows is good.

It isn't run as a whole: there is no systemd and no second host where tests run.
"""

import re
import shutil
import subprocess
from pathlib import Path

import click
import yaml

from notifier.cli import main
from tests.conftest import absent
from tests.deploy.test_systemd import SERVICES, UNITS, read

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "deploy.md").read_text("utf-8")
COMMANDS = re.findall(
    r"(?:^ {4}|&& |run --rm web )(?:notifier )?((?:db|keys|users|doctor|ledger)\b[a-z ]*)", PAGE, re.MULTILINE
)
(PROMETHEUS,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def test_every_file_that_it_names_is_there() -> None:
    # Given the page
    # When the paths in it are looked for; `*` is any end of a name
    named = {name.rstrip(".") for name in re.findall(r"\bdeploy/[\w./*-]+", PAGE)} - {
        "deploy/.env",
        "deploy/notifier.env",
    }

    # Then each exists
    assert len(named) > 8
    assert [name for name in named if not list(ROOT.glob(name))] == []


def test_every_command_that_it_names_exists() -> None:
    # Given the commands on the page
    assert len(COMMANDS) >= 6
    for words in COMMANDS:
        # When each is looked for among ours
        command: click.Command | None = main
        for word in words.split():
            if isinstance(command, click.Group):
                command = command.get_command(click.Context(command), word)

        # Then it is one that can be run
        assert command is not None, words
        assert not isinstance(command, click.Group), words


def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    # Given the configuration on the page, and the alerts beside it under the name that the page gives them
    (tmp_path / "prometheus.yml").write_text(PROMETHEUS)
    shutil.copy(ROOT / "deploy" / "prometheus" / "alerts.yml", tmp_path / "notifier.yml")
    if shutil.which("promtool") is None:
        absent("needs promtool, of Debian's prometheus")

    # When Prometheus' own tool checks it
    said = subprocess.run(["promtool", "check", "config", tmp_path / "prometheus.yml"], capture_output=True, text=True)

    # Then it finds no fault, and the rules
    assert said.returncode == 0, said.stderr
    assert "rules found" in said.stdout


def test_prometheus_asks_where_the_units_answer() -> None:
    # Given the ports at which the units' processes tell their metrics
    answered = {}
    for service in SERVICES:
        (port,) = re.findall(r"--metrics-listen \S+:(\d+)", read(UNITS / service)["Service"]["ExecStart"])
        answered[service.removesuffix(".service")] = port

    # When the page's configuration is read
    asked = {
        job["job_name"]: {target.rpartition(":")[2] for each in job["static_configs"] for target in each["targets"]}
        for job in yaml.safe_load(PROMETHEUS)["scrape_configs"]
    }

    # Then Prometheus asks each process there
    assert asked == {name: {port} for name, port in answered.items()}
