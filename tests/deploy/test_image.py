"""The image: its build steps run as they stand in the Dockerfile, in folders of their own, and so does what they made.

No container engine is needed: a mount namespace gives the steps a fresh `/opt` and `/usr/src`, and what they made a
root that can't be written to.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from notifier.runtime.settings import environment
from tests.conftest import absent
from tests.deploy.dockerfile import stages
from tests.deploy.namespaces import namespaced

pytestmark = pytest.mark.timeout(900)  # everything is installed anew

ROOT = Path(__file__).parents[2]
BUILD, IMAGE = stages(ROOT / "deploy" / "Dockerfile")
LIMIT = 250 * 1_000_000  # bytes: what is promised of the environment that production runs

# Left out of what is installed: nothing imports them.
NEVER = [
    "cachecontrol",
    "google.api_core",
    "google.cloud",
    "grpc",
    "google.protobuf",
    "twilio.rest",
    "pip",
    "setuptools",
]

# Everything is imported with nothing written; what was imported and isn't compiled is told.
IMPORT_ALL = """
import importlib, importlib.util, json, os, pkgutil, sys
import notifier, workers
for package in (notifier, workers):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__") and not module.name.startswith("notifier.mcp."):  # which is an extra
            importlib.import_module(module.name)
specs = [module.__spec__ for module in list(sys.modules.values()) if getattr(module, "__spec__", None)]
compiled = [(spec.name, spec.cached) for spec in specs if spec.cached and "site-packages" in spec.cached]
slow = [name for name, file in compiled if not os.path.exists(file)]
found = []
for name in json.loads(sys.argv[1]):
    try:
        found += [name] if importlib.util.find_spec(name) else []
    except ModuleNotFoundError:
        pass
print(json.dumps({"modules": len(specs), "slow": slow, "found": found}))
"""

# Installed, it starts where nothing can be written but /tmp, by a root without privileges.
READ_ONLY = """
mount --bind "$1" /opt
mount --types tmpfs tmpfs /tmp
mount --options remount,bind,ro /opt
mount --options remount,bind,ro /
cd /tmp
! touch /opt/written 2>/dev/null
! touch /etc/written 2>/dev/null
shift
exec setpriv --bounding-set=-all --inh-caps=-all --no-new-privs "$@"
"""


@pytest.fixture(scope="module")
def opt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder that is `/opt` in the image, once the build steps have run."""
    folder = tmp_path_factory.mktemp("image")
    opt, source = folder / "opt", folder / "src"
    opt.mkdir()
    source.mkdir()
    work, script = "", 'mount --bind "$1" /opt; mount --bind "$2" /usr/src\n'
    for step in BUILD[1:]:
        match step.name:
            case "WORKDIR":
                work = step.words[0]
                script += f"mkdir -p {work}; cd {work}\n"
            case "COPY":
                *copied, to = step.words
                for each in copied:
                    inside = source / Path(work).relative_to("/usr/src") / to
                    target = inside / each if to.endswith("/") else inside
                    target.parent.mkdir(parents=True, exist_ok=True)
                    if (ROOT / each).is_dir():
                        shutil.copytree(ROOT / each, target, ignore=shutil.ignore_patterns("__pycache__"))
                    else:
                        shutil.copy(ROOT / each, target)
            case "ARG":
                script += f"export {step.text}\n"
            case "RUN":
                script += step.text + "\n"
            case _:
                pytest.fail(f"{step.name} is not known here")
    python = Path(getattr(sys, "_base_executable", sys.executable)).parent
    path = f"{python}{os.pathsep}{os.environ['PATH']}"
    command = namespaced(script, str(opt), str(source))
    done = subprocess.run(command, env={**os.environ, "PATH": path}, capture_output=True, text=True)
    if "unshare failed" in done.stderr:
        absent(f"mounts aren't permitted: {done.stderr}")
    assert done.returncode == 0, done.stderr
    yield opt
    shutil.rmtree(opt)


def size(folder: Path) -> int:
    """The bytes that a folder takes up on the disk, as `du` counts them."""
    every = {(found.st_ino, found.st_blocks) for found in (path.lstat() for path in folder.rglob("*"))}
    return sum(blocks for _, blocks in every) * 512


def test_what_production_runs_is_small(opt: Path) -> None:
    # Given the environment that the image's steps made
    # When it is measured
    taken = size(opt / "notifier")

    # Then it keeps to what is promised
    assert taken <= LIMIT, f"{taken / 1e6:.0f} MB"


def test_everything_can_be_imported_and_is_compiled(opt: Path) -> None:
    # Given the environment that the image's steps made, without what nothing imports
    # When all that is ours is imported
    python = opt / "notifier" / "bin" / "python"
    told = subprocess.run(
        [python, "-B", "-c", IMPORT_ALL, json.dumps(NEVER)], check=True, capture_output=True, text=True
    )
    seen = json.loads(told.stdout)

    # Then nothing was missing, and nothing has to be compiled at each start
    assert seen["modules"] > 500
    assert seen["slow"] == []
    assert seen["found"] == []


def test_a_whole_system_runs_where_nothing_can_be_written(opt: Path) -> None:
    # Given the image, with a root that can't be written to, and /tmp
    # When a whole system runs from it: web, workers, clock, a broker, SQLite, and stand-ins for the providers
    demo = ["/opt/notifier/bin/notifier", "demo", "--exit", "--json", "--count", "6", "--seconds", "1"]
    done = subprocess.run(
        namespaced(READ_ONLY, str(opt), *demo), env=environment({}) | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True,
    )  # fmt: skip

    # Then it delivers everything, and loses and doubles nothing
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["lost"] == 0


def test_a_folder_that_is_something_else_is_left_alone(tmp_path: Path) -> None:
    # Given a folder with something in it that is no environment
    (tmp_path / "mine").write_text("precious")

    # When notifier is to be installed there, which would empty it
    done = subprocess.run([ROOT / "deploy" / "install.sh", tmp_path], capture_output=True, text=True)

    # Then it says so, and touches nothing
    assert done.returncode == 1
    assert "is in use" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_the_image_runs_as_nobody_in_particular_and_has_nothing_else(opt: Path) -> None:
    # Given what the last stage says
    said = {step.name: step.words for step in IMAGE}

    # When it is read
    # Then it takes the environment alone, runs by a number that Kubernetes can tell from root's, and starts our command
    assert said["COPY"] == ["--from=build", "/opt/notifier", "/opt/notifier"]
    assert said["USER"] == ["10001:10001"]
    assert [step.name for step in IMAGE].count("COPY") == 1
    assert not {"RUN", "ADD"} & said.keys()
    assert (
        opt / "notifier" / "bin" / json.loads(next(step.text for step in IMAGE if step.name == "ENTRYPOINT"))[0]
    ).is_file()
