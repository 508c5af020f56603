"""Secrets that change while a process runs: their files are read again once they have changed.

A value in the environment stays what it is until the process ends; a file (`NOTIFIER_…_FILE`) may be replaced at any
time, and so may a file that an account names. What signs links and how providers are reached is then replaced; other
settings need a restart.
"""

import os
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import structlog

from notifier.domain.errors import ConfigurationError
from notifier.runtime.settings import PREFIX, Settings, bare, load_settings, of_channels

LOOK_EVERY: Final = 10.0
"""Seconds between two looks at the files: a key is replaced ahead of its end, and a look costs a call for each file."""
SIGNING_KEYS: Final = "signing_keys"

log = structlog.get_logger(__name__)


class Change(NamedTuple):
    """The settings after a change, the names of those that changed, and the other files that did."""

    settings: Settings
    names: Collection[str]
    files: Collection[Path]


_Stamp = tuple[int, int, int]


class Rotation:
    """A process's settings as they are now. `files` are those beside the settings' own that hold secrets too."""

    def __init__(
        self,
        settings: Settings,
        files: Callable[[Settings], Collection[Path]] = lambda _settings: (),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.settings = settings
        self._files = files
        self._environ = os.environ if environ is None else environ
        self._heard: list[Callable[[Change], Awaitable[None]]] = []
        self._seen = self._stamps()

    def on_change(self, heed: Callable[[Change], Awaitable[None]]) -> None:
        """Have each change told, in the order in which this was called."""
        self._heard.append(heed)

    async def look(self) -> None:
        """Look at the files once, and tell what has changed. What can't be read changes nothing, and is logged.

        Raises what a listener raises; the next look tells all of them again.
        """
        stamps = self._stamps()
        if stamps == self._seen:
            return
        changed = {file for file in stamps.keys() | self._seen.keys() if stamps.get(file) != self._seen.get(file)}
        try:
            new = _rotated(self.settings, load_settings(self._environ))
        except ConfigurationError as error:
            log.error("rotation.not_read", why=str(error))
            self._seen = stamps
            return
        before, after = self.settings.values(), new.values()
        names = sorted(name for name, value in after.items() if value != before[name])
        change = Change(new, names, changed)
        for heed in self._heard:
            await heed(change)
        self.settings = new
        # An account of now may name another file; what changed meanwhile is read at the next look.
        self._seen = {file: stamps.get(file, stamp) for file, stamp in self._stamps().items()}
        log.info("rotation.read", settings=names, files=len(changed))

    def _stamps(self) -> dict[Path, _Stamp]:
        """What tells a file from what replaces it, a symbolic link's target included; none where it isn't there."""
        stamps = {}
        for file in {*_own(self._environ), *self._files(self.settings)}:
            try:
                found = file.stat()
            except OSError:
                continue
            stamps[file] = (found.st_mtime_ns, found.st_ino, found.st_size)
        return stamps


def rotating() -> Collection[str]:
    """The names of the settings that may change while a process runs."""
    return {SIGNING_KEYS, *(name for name, each in of_channels().items() if each.secret)}


def _own(environ: Mapping[str, str]) -> list[Path]:
    variables = (f"{PREFIX}{name.upper()}_FILE" for name in rotating())
    return [Path(path) for each in variables if (path := bare(environ.get(each, "")))]


def _rotated(now: Settings, read: Settings) -> Settings:
    """The settings of now with those read that may change."""
    channels = {name: read.channels[name] if name in rotating() else value for name, value in now.channels.items()}
    return msgspec.structs.replace(now, signing_keys=read.signing_keys, channels=channels)
