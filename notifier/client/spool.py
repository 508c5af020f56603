"""A spool: a file that keeps events until the service has answered for each of them, across the end of the process.

Lines of JSON: an object is an event, an array is the sources and ids of events that the service has answered for. A
line that was torn by a crash is passed over. What is written survives the end of the process at once, and that of the
machine once the system has written it to the disk.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from notifier.client.answers import ServiceUnavailable

SPOOL_BYTES: Final = 64 * 1024 * 1024
"""Bytes that a spool takes by default: some hundred thousand events."""
PRIVATE: Final = 0o600
"""The mode of the file: events may hold personal data."""

Key = tuple[str, str]
"""An event's source and id."""


class _Named(msgspec.Struct):
    source: str
    id: str


class Spool:
    """The events of one process that the service has not answered for, in a file of `limit` bytes at the most.

    `open` is these events as JSON. Raises RuntimeError where another process has the file.
    """

    def __init__(self, path: str | Path, limit: int = SPOOL_BYTES) -> None:
        self.open: dict[Key, bytes] = {}
        self._path = Path(path)
        self._limit = limit
        self._lock = _locked(self._path.with_name(f"{self._path.name}.lock"))
        try:
            for told in _read(self._path):
                if isinstance(told, tuple):
                    self.open[told[0]] = told[1]
                else:
                    for key in told:
                        self.open.pop(key, None)
            self._held = sum(map(len, self.open.values()))
            self._rewrite()
        except BaseException:
            os.close(self._lock)
            raise

    def add(self, events: Sequence[tuple[Key, bytes]]) -> None:
        """Keep events; raises ServiceUnavailable, and keeps none, where there is no room for them."""
        size = sum(len(event) + 1 for _, event in events)
        if self._held + len(self.open) + size > self._limit:
            raise ServiceUnavailable(f"the spool {self._path} is full: it has {self._held} of {self._limit} bytes")
        try:
            if self._size + size > self._limit:
                self._rewrite()
            self._append(b"".join(event + b"\n" for _, event in events))
        except OSError as error:
            raise ServiceUnavailable(f"the spool {self._path} can't be written: {error.strerror}") from error
        for key, event in events:
            self._held += len(event) - len(self.open.get(key, b""))
            self.open[key] = event

    def settle(self, keys: Iterable[Key]) -> None:
        """Forget events that the service has answered for."""
        settled = [key for key in keys if key in self.open]
        for key in settled:
            self._held -= len(self.open.pop(key, b""))
        try:
            if settled and not self.open:
                os.ftruncate(self._file, 0)
                self._size = 0
            elif settled:
                self._append(msgspec.json.encode(settled) + b"\n")
        except OSError:
            pass  # they are sent once more at the next start, which is harmless

    def close(self) -> None:
        """Leave the file to another process."""
        os.close(self._file)
        os.close(self._lock)

    def _append(self, lines: bytes) -> None:
        try:
            written = 0
            while written < len(lines):
                written += os.write(self._file, lines[written:])
        except OSError:
            os.ftruncate(self._file, self._size)  # half a line would spoil the next one
            raise
        self._size += len(lines)

    def _rewrite(self) -> None:
        """Write the file anew with what is open; whoever dies meanwhile leaves the one before."""
        made = self._path.with_name(f"{self._path.name}.new")
        file = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, PRIVATE)
        before = getattr(self, "_file", None)
        self._file, self._size = file, 0
        self._append(b"".join(event + b"\n" for event in self.open.values()))
        made.replace(self._path)
        if before is not None:
            os.close(before)


def _locked(path: Path) -> int:
    import fcntl  # Windows lacks it, and can do without a spool

    lock = os.open(path, os.O_WRONLY | os.O_CREAT, PRIVATE)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise RuntimeError(
            f"another process has the spool that {path} locks: give each process a file of its own"
        ) from None
    return lock


def _read(path: Path) -> Iterator[tuple[Key, bytes] | list[Key]]:
    """Yield what the lines of a spool say, without those that were torn."""
    if not path.exists():
        return
    for line in path.read_bytes().split(b"\n"):
        try:
            if line.startswith(b"["):
                yield msgspec.json.decode(line, type=list[Key])
            else:
                named = msgspec.json.decode(line, type=_Named)
                yield (named.source, named.id), line
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
