"""The systemd units: they are valid, confine the processes, and agree with how these end."""

import os
import shlex
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import click
import pytest

from notifier.cli import EXIT_CONFIGURATION, main
from notifier.cli.processes import GRACE
from notifier.cli.supervise import STOP_TIMEOUT
from tests.conftest import absent
from tests.deploy.namespaces import namespaced

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "deploy" / "systemd"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
EXPOSED = 15  # tenths on systemd's scale, whose 100 is a service that nothing confines; below 20 it says "OK"

# Units are looked for in the folder first, and what they start is looked for in /opt.
ANALYZE = """
mount --bind "$1" /opt
shift
exec systemd-analyze "$@"
"""


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """A folder with the units, as they stand in /etc/systemd/system, beside an /opt with what they start."""
    program = tmp_path / "opt" / "notifier" / "current" / "bin" / "notifier"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    shutil.copytree(UNITS, tmp_path / "system", ignore=shutil.ignore_patterns("sysusers.conf"))
    return tmp_path / "system"


def analyze(units: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze on these units; skips where it isn't installed."""
    if shutil.which("systemd-analyze") is None:
        absent("needs systemd-analyze, of systemd")
    return subprocess.run(
        namespaced(ANALYZE, str(units.parent / "opt"), *words),
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{units}:"}, capture_output=True, text=True,
    )  # fmt: skip


def read(path: Path) -> ConfigParser:
    """A unit's settings; of those that are given several times the last one."""
    parser = ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(path)
    return parser


def test_systemd_understands_every_line_of_the_units(units: Path) -> None:
    # Given the units
    # When systemd reads them, and all that they ask for
    said = analyze(units, "verify", "--man=no", "notifier.target", *SERVICES)

    # Then it has nothing to say: an unknown setting is a warning, and no failure
    assert said.stderr == ""
    assert said.returncode == 0


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_kept_from_what_it_does_not_need(units: Path, service: str) -> None:
    # Given a unit with what all of ours have in common
    # When systemd rates what it is exposed to
    said = analyze(units, "security", "--offline=true", "--no-pager", f"--threshold={EXPOSED}", service)

    # Then that is little
    assert said.returncode == 0, said.stdout


def test_there_is_a_unit_for_each_process_and_it_starts_that() -> None:
    # Given what the Procfile starts
    processes = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())

    # When the units are read
    started = {service: shlex.split(read(UNITS / service)["Service"]["ExecStart"]) for service in SERVICES}

    # Then they start the same commands, with options that these know
    assert {service.removeprefix("notifier-").removesuffix(".service") for service in SERVICES} == processes.keys()
    for name, command in processes.items():
        program, *words = started[f"notifier-{name}.service"]
        assert [Path(program).name, *words[:1]] == command.split()
        known = main.get_command(click.Context(main), words[0])
        assert known is not None
        known.make_context(name, [word.replace("${METRICS_ADDRESS}", "127.0.0.1") for word in words[1:]])


def test_processes_are_given_the_time_that_they_take_to_stop() -> None:
    # Given how long processes take at the most to finish what they have begun
    longest = max(STOP_TIMEOUT, GRACE)

    # When the units are read
    common = read(UNITS / "notifier-.service.d" / "common.conf")["Service"]

    # Then systemd waits longer, tells only the supervisor, which tells the others, and leaves what a person has to mend
    assert float(common["TimeoutStopSec"]) > longest
    assert common["KillMode"] == "mixed"
    assert int(common["RestartPreventExitStatus"]) == EXIT_CONFIGURATION


def test_the_user_can_be_made() -> None:
    # Given the description of the user that units run as
    if shutil.which("systemd-sysusers") is None:
        absent("needs systemd-sysusers, of systemd")
    user = read(UNITS / "notifier-.service.d" / "common.conf")["Service"]["User"]

    # When systemd reads it
    said = subprocess.run(
        ["systemd-sysusers", "--dry-run", UNITS / "sysusers.conf"], check=True, capture_output=True, text=True
    )

    # Then it has that user made, or knows it
    assert f"'{user}'" in said.stderr or user in Path("/etc/passwd").read_text()
