"""Commands that run with mounts of their own, which nothing else on the machine sees."""

import os
import shutil

from tests.conftest import absent


def namespaced(script: str, *arguments: str) -> list[str]:
    """The command that runs a script of the shell in a mount namespace; as root, or as who is root in it."""
    unshare = shutil.which("unshare") or absent("needs unshare, of util-linux")
    return [
        unshare,
        "--mount",
        *([] if os.getuid() == 0 else ["--map-root-user"]),
        "sh",
        "-euc",
        script,
        "sh",
        *arguments,
    ]
