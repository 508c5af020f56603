"""CPU time of processes and their children, from /proc."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def seconds_of(pids: Iterable[int]) -> float:
    """User and system seconds of processes and everything they started, ended children included."""
    return sum(_seconds(pid) for root in pids for pid in _tree(root))


def pids_named(name: str) -> list[int]:
    """The topmost processes with a name: a server's main process, whose children `seconds_of` finds."""
    named = {pid for pid in _all() if _field(pid, "comm") == name}
    return [pid for pid in named if _parent(pid) not in named]


def pids_titled(part: str) -> list[int]:
    """The processes whose command line, or the title they gave themselves, holds a text: a database's backends."""
    return [pid for pid in _all() if part in _field(pid, "cmdline") and pid != os.getpid()]


def pids_of_ours(name: str) -> list[int]:
    """The processes with a name that this one started, or that they did."""
    return [pid for pid in _tree(os.getpid()) if _field(pid, "comm") == name]


def memory_of(pids: Iterable[int]) -> int:
    """Resident bytes of processes and their children."""
    return sum(_resident(pid) for root in pids for pid in _tree(root))


def largest_child(pids: Iterable[int]) -> int:
    """Resident bytes of the largest process that these started."""
    return max((_resident(pid) for root in pids for pid in _tree(root)[1:]), default=0)


def _tree(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for pid in _all():
        children.setdefault(_parent(pid), []).append(pid)
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return found


def _all() -> Iterator[int]:
    return (int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal())


def _seconds(pid: int) -> float:
    fields = _stat(pid)
    return sum(map(int, fields[11:15])) / TICK if fields else 0.0


def _parent(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def _stat(pid: int) -> list[str]:
    return _field(pid, "stat").rpartition(")")[2].split()


def _resident(pid: int) -> int:
    pages = _field(pid, "statm").split()
    return int(pages[1]) * os.sysconf("SC_PAGE_SIZE") if pages else 0


def _field(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text("utf-8", "replace").strip()
    except OSError:
        return ""
