"""The commands by which each language's program of the behaviour table runs, once it is compiled."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
Command = Sequence[str | Path]
JARS: Final = Path("/usr/share/java")
"""Where Debian has Java's libraries."""


def python() -> Sequence[str]:
    """Return the command of Python's program, on threads."""
    return [sys.executable, "-m", "clients.python.runner"]


def python_asyncio() -> Sequence[str]:
    """Return the command of Python's program, on an event loop."""
    return [*python(), "--asyncio"]


def java() -> Sequence[str]:
    """Compile Java's client and its program; return the command."""
    sources = sorted((HERE / "java/src").rglob("*.java"))
    jars = os.pathsep.join(str(JARS / f"jackson-{each}.jar") for each in ("annotations", "core", "databind"))
    compile_: Command = [
        "javac",
        "-Xlint:all,-processing",
        "-Werror",
        "--release",
        "17",
        "-cp",
        jars,
        "-d",
        "{}",
        *sources,
    ]
    classes = _made("java", sources, compile_)
    # One of the JVM's compilers: a program that runs for seconds starts sooner.
    return [
        "java",
        "-XX:TieredStopAtLevel=1",
        "-cp",
        f"{classes}{os.pathsep}{jars}",
        "io.github.notifier.client.Runner",
    ]


def tsc() -> Command:
    """Return the command of the TypeScript compiler, which npm fetches once with the types of Node.js."""
    package = HERE / "typescript/package.json"
    named = json.loads(package.read_text())["devDependencies"]
    wanted = [f"{name}@{version}" for name, version in named.items()]
    install: Command = ["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", "{}"]
    modules = _made("npm", [package], [*install, *wanted]) / "node_modules"
    return ["node", modules / "typescript/bin/tsc", "--typeRoots", modules / "@types"]


def typescript() -> Sequence[str]:
    """Compile the TypeScript client and its program; return the command."""
    own = HERE / "typescript"
    sources = sorted([*own.rglob("*.ts"), *own.rglob("*.json")])
    program = _made("typescript", sources, [*tsc(), "-p", own / "test", "--outDir", "{}"])
    (program / "package.json").write_text('{"type": "module"}')
    return ["node", str(program / "test/runner.js")]


def go() -> Sequence[str]:
    """Compile the Go client and its program; return the command."""
    own = HERE / "go"
    build: Command = ["env", "-C", own, "CGO_ENABLED=0", "go", "build", "-o", "{}/runner", "./internal/runner"]
    return [str(_made("go", sorted([*own.rglob("*.go"), own / "go.mod"]), build) / "runner")]


PROGRAMS: Final[Mapping[str, Callable[[], Sequence[str]]]] = {
    "python": python,
    "asyncio": python_asyncio,
    "java": java,
    "typescript": typescript,
    "go": go,
}
"""What makes each client's program and returns its command, by the client's name in the table."""


def _made(client: str, sources: Sequence[Path], command: Command) -> Path:
    """Return the folder of what these sources are compiled to, by a command in which `{}` is the folder.

    It is kept from one run to the next, and made anew where a source has changed.
    """
    named = blake2b(b"".join(source.read_bytes() for source in sources), digest_size=8).hexdigest()
    folder = Path(tempfile.gettempdir()) / f"notifier-{os.getuid()}-{client}-{named}"
    if folder.exists():
        return folder
    begun = Path(tempfile.mkdtemp(dir=folder.parent))
    whole = [str(each).replace("{}", str(begun)) for each in command]
    done = subprocess.run(whole, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{whole[0]} found: {done.stdout}{done.stderr}")
    try:
        begun.rename(folder)
    except OSError:  # somebody else was quicker
        shutil.rmtree(begun)
    return folder
