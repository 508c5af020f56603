"""Programs of the documentation that are compiled against a client as its README says, and run."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from clients.building import HERE, PROGRAMS, tsc
from tests.conftest import absent

Command = Sequence[str | Path]


async def ran(*command: str | Path, within: Path, **environment: str) -> str:
    """What a program prints, beside which the server goes on."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=within, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    told, _ = await process.communicate()
    assert process.returncode == 0, told.decode()
    return told.decode()


async def java(folder: Path, main: str) -> Command:
    """Compile a class in a folder and those that it names; returns what runs it."""
    shutil.which("javac") or absent("needs javac")
    _, _, _, path, _ = PROGRAMS["java"]()
    strictly = ("-encoding", "UTF-8", "-Xlint:all", "-Werror")
    await ran("javac", *strictly, "-sourcepath", ".", "-cp", path, f"{main}.java", within=folder)
    return ["java", "-cp", f"{folder}{os.pathsep}{path}", main]


async def typescript(folder: Path, main: str) -> Command:
    """Compile the modules in a folder, whose data is checked against the client's types; returns what runs one of
    them."""
    shutil.which("npm") or absent("needs npm")
    client, own = folder / "node_modules/notifier-client", HERE / "typescript"
    await ran(*tsc(), "-p", own, "--outDir", client / "dist", within=folder)
    shutil.copy(own / "package.json", client)
    (folder / "package.json").write_text('{"type": "module"}')
    # What it is compiled with is the client's own, but for where.
    settings = f'{{"extends": "{own}/tsconfig.json", "compilerOptions": {{"rootDir": ".", "outDir": "made"}}, '
    (folder / "tsconfig.json").write_text(settings + '"include": ["*.ts"]}')
    await ran(*tsc(), "-p", folder, within=folder)
    return ["node", f"made/{main}.js"]


async def go(folder: Path) -> Command:
    """Compile the package in a folder; returns what runs it."""
    shutil.which("go") or absent("needs go")
    client = "github.com/notifier/notifier/clients/go"
    needs = f"require {client} v0.0.0\n\nreplace {client} => {HERE / 'go'}\n"
    (folder / "go.mod").write_text(f"module report\n\ngo 1.19\n\n{needs}")
    await ran("go", "build", "-o", "report", ".", within=folder, CGO_ENABLED="0")
    return [folder / "report"]
