"""docs/tutorial.md, command by command, as somebody types it, but for its ports and its folder."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"
PORTS = ("8080", "8025", "1025", "6399")
WITHIN = 120  # seconds for all of it, on a busy machine
SEEN = "until curl -sf http://127.0.0.1:8025/sandbox/ledger | grep -q push; do sleep 0.2; done"


@pytest.mark.timeout(WITHIN)
def test_a_driver_has_a_push_and_a_text_and_whoever_asks_is_told_why(tmp_path: Path) -> None:
    # Given the page's commands, but for how to install
    blocks = re.findall(r"```sh ?(\w*)\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    script = "\n".join([SEEN + "\n" + text if mark == "seen" else text for mark, text in blocks if mark != "setup"])
    ports = {port: str(_free_port()) for port in PORTS}
    for port, free in ports.items():
        script = script.replace(port, free)
    script = script.replace(
        "notifier sandbox", f"notifier sandbox --http-port {ports['8025']} --smtp-port {ports['1025']}"
    )
    script = script.replace("/tmp/notifier-tutorial", str(tmp_path / "tutorial"))  # noqa: S108 (the page's folder)

    # When they are run one after the other
    web = ports["8080"]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    home = {name: value for name, value in os.environ.items() if not name.startswith("NOTIFIER_")}
    ran = subprocess.run(
        ["timeout", str(WITHIN - 20), "bash", "-euc", f"trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{script}"],
        env=home | {"PATH": path, "NOTIFIER_PORT": web, "NOTIFIER_PUBLIC_URL": f"http://127.0.0.1:{web}"},
        cwd=tmp_path, text=True, capture_output=True,
    )  # fmt: skip

    # Then Ada has what the page says that she has, and all is put away
    assert ran.returncode == 0, ran.stderr
    assert "Mitte, bay 3" in ran.stdout
    assert '"push"' in ran.stdout
    assert '"sms"' in ran.stdout
    assert "charging-complete" in ran.stdout
    assert not (tmp_path / "tutorial").exists()


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])
