"""Who is reading. LMDB keeps what a reader may still see: one that never ends makes the data file grow without end."""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
import os
from typing import Final, NamedTuple

from redun.store.machine import host_name

_NUMBER_OF_START: Final = 19  # of the fields in /proc/PID/stat that follow the name of the program
_STATES: Final = {"T": "stopped", "t": "traced", "Z": "dead", "X": "dead", "D": "waiting for a disk"}


class Reader(NamedTuple):
    """A transaction that is reading.

    Attributes:
        pid: its process, as that process sees itself.
        host: the machine. Stores are read on their own machine only, so it is this one.
        thread: of that process, as the system numbers them.
        transaction: what it sees; nothing that was deleted since is reused while it lasts.
        behind: how many transactions have been written since.
        state: of its process: `running`, `stopped`, `traced`, `waiting for a disk`, or `dead`. What a dead one
            leaves is cleared by the next open that writes. Where the system does not tell, `running`.
        command: the words of its process, or none where the system does not tell.
        started: when its process did, in seconds since the epoch, or None. It has been reading for less than that.
    """

    pid: int
    host: str
    thread: int
    transaction: int
    behind: int
    state: str
    command: tuple[str, ...]
    started: float | None


def parse_readers(table: str, newest: int) -> list[Reader]:
    """Returns what LMDB's list of readers says, longest first; slots that are not in use are left out.

    The lock file itself must never be looked into: closing any descriptor of it would take this process's own locks
    of it away.

    Args:
        table: one line a slot: process, thread in hexadecimal, transaction or `-`.
        newest: number of the last transaction.
    """
    host = host_name()
    found: list[Reader] = []
    for line in table.splitlines():
        words = line.split()
        if len(words) != 3 or not (words[0].isdigit() and words[2].isdigit()):
            continue
        pid, seen = int(words[0]), int(words[2])
        state, started = _process(pid)
        found.append(Reader(pid, host, int(words[1], 16), seen, max(newest - seen, 0), state, _command(pid), started))
    return sorted(found, key=lambda reader: reader.transaction)


def _process(pid: int) -> tuple[str, float | None]:
    """Returns (state, start) of a process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()  # the name in parentheses may hold anything
        with open("/proc/stat", encoding="utf-8") as file:
            boot = next(int(line.split()[1]) for line in file if line.startswith("btime "))
        started = boot + int(fields[_NUMBER_OF_START]) / os.sysconf("SC_CLK_TCK")
        return _STATES.get(fields[0], "running"), started
    except (OSError, LookupError, ValueError, StopIteration):
        return ("running" if _exists(pid) else "dead"), None


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # another user's
    return True


def _command(pid: int) -> tuple[str, ...]:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return tuple(os.fsdecode(word) for word in file.read().split(b"\0")[:-1])
    except OSError:
        return ()
