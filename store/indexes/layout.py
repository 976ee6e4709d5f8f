"""The tables of the indexes, and what a row of each is made of. All of it can be made again.

Rows are made of the starts of ids: two that start alike share rows, so whoever reads one looks at what it leads to
before believing it. Jobs are numbered through: each execution that is indexed has a range of numbers, later ones
greater ones; a job's number is the first of its execution, and 512 for each page before its own, and its place there.
"""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
from collections.abc import Callable
from typing import Final, NamedTuple, Self

from redun.core import limits
from redun.core.digest import Digest
from redun.store.checksums import body_of, with_checksum

#: Of what the rows are, and which rules made them: others are dropped and made again.
VERSION: Final = 2

STATE: Final = "ix.state"
RUNS: Final = "ix.runs"
KNOWN: Final = "ix.known"
NAMES: Final = "ix.names"
FILES: Final = "ix.files"
#: H(full name), 8 bytes: job, start of the call.
TASKS: Final = "ix.tasks"
#: Start of a call (8 bytes), job.
CALLS: Final = "ix.calls"
#: Start of a job's id (4 bytes), job.
IDS: Final = "ix.ids"
#: Start of a value, start of a call that gave it.
RESULTS: Final = "ix.results"
#: Start of a value, start of a call that took it.
ARGUMENTS: Final = "ix.arguments"
#: Start of an object, start of a value or tree that points to it; start of a call, start of one that made it.
HOLDERS: Final = "ix.holders"
#: A byte, the status: job.
STATUS: Final = "ix.status"

PLAIN: Final = (STATE, RUNS, KNOWN, NAMES, FILES)
SETS: Final = (TASKS, CALLS, IDS, RESULTS, ARGUMENTS, HOLDERS, STATUS)

#: The key of tables that need none.
ALL: Final = b"-"
#: Bytes of a job's number; of the start of an id; of that of a call where it stands for the whole id; of a job's id.
JOB: Final = 6
START: Final = 6
CALL_START: Final = 8
ID_START: Final = 4
NAME: Final = 8
#: The job of a call that no job of an indexed execution stands for: it is inside one that was answered whole.
NO_JOB: Final = bytes(JOB)
#: Bytes of a path in a key. What is longer is found by its start, and compared as a whole.
_PATH: Final = 400
#: How the keys of sets of files begin, and what is above them all.
SET: Final = b"\0"
ABOVE_SETS: Final = b"\1"
_STATE_KEY: Final = b"state"
_HIGHEST: Final = (1 << 8 * JOB) - 1
_UUID: Final = 16
_REMOVALS: Final = 4


def job_bytes(number: int) -> bytes:
    """Returns a job's number as rows have it."""
    return number.to_bytes(JOB, "big")


def task_key(function: Callable[[bytes], bytes], fullname: str) -> bytes:
    """Returns the key of a task in `TASKS` and `NAMES`."""
    return function(fullname.encode())[:NAME]


def file_key(path: bytes, value: bytes) -> bytes:
    """Returns the key of a value that holds a file of that path."""
    return path[:_PATH] + b"\0" + value


def set_key(base: bytes, value: bytes) -> bytes:
    """Returns the key of a value that holds a set of files below that directory, in the table of files, which begins
    with these: no path has a NUL. Its members have no rows: there may be 100,000, in a thousand states."""
    return SET + base[:_PATH] + b"\0" + value


class State(NamedTuple):
    """How far the tables are.

    Attributes:
        next: the number of the next execution's first job.
        torn: whether somebody is in the middle of writing, or died there: what is there is true, and not all.
        removals: how often rows were removed: whoever has looked for rows before that has to look again.
    """

    next: int = limits.PAGE_ROWS
    torn: bool = False
    removals: int = 0

    def row(self) -> tuple[bytes, bytes]:
        """Returns the row of `STATE`."""
        body = bytes((VERSION, self.torn)) + job_bytes(self.next) + self.removals.to_bytes(_REMOVALS, "big")
        return _STATE_KEY, with_checksum(_STATE_KEY, body)

    @classmethod
    def of(cls, row: bytes | None) -> Self | None:
        """Returns the state of a row, None if there is none of this version."""
        body = None if row is None else body_of(_STATE_KEY, row)
        if body is None or len(body) != 2 + JOB + _REMOVALS or body[0] != VERSION:
            return None
        removals = int.from_bytes(body[-_REMOVALS:], "big")
        return cls(int.from_bytes(body[2 : 2 + JOB], "big"), bool(body[1]), removals)

    @staticmethod
    def is_foreign(row: bytes) -> bool:
        """Returns whether a row is sound and of another version: the tables will be made anew."""
        body = body_of(_STATE_KEY, row)
        return body is not None and body[:1] != bytes((VERSION,))

    @staticmethod
    def key() -> bytes:
        """Returns the key of the one row."""
        return _STATE_KEY


class IndexedRun(NamedTuple):
    """An execution that is in the tables.

    Attributes:
        digest, uuid: of the execution.
        first: the number of its first job.
        pages: how many of its pages are in the tables.
        complete: whether that is all of them.
    """

    digest: Digest
    uuid: bytes
    first: int
    pages: int
    complete: bool

    def rows(self) -> tuple[tuple[bytes, bytes], tuple[bytes, bytes]]:
        """Returns the rows of `RUNS` and `KNOWN`. Keys of `RUNS` fall as numbers grow, so that the execution of a job
        is the first at or above a key."""
        key = job_bytes(_HIGHEST - self.first)
        body = self.uuid + self.digest
        done = job_bytes(self.first) + bytes((self.complete,)) + self.pages.to_bytes(4, "big")
        return (key, with_checksum(key, body)), (self.digest, with_checksum(self.digest, done))

    @staticmethod
    def key_of(number: int) -> bytes:
        """Returns where in `RUNS` to look for the execution of a job."""
        return job_bytes(_HIGHEST - number)

    @classmethod
    def of_run(cls, key: bytes, row: bytes) -> Self | None:
        """Returns the execution of a row of `RUNS`, as far as that tells; None if it is damaged."""
        body = body_of(key, row)
        if body is None:
            return None
        first = _HIGHEST - int.from_bytes(key, "big")
        return cls(Digest(body[_UUID:]), body[:_UUID], first, 0, False)

    @classmethod
    def of_known(cls, digest: bytes, row: bytes, uuid: bytes) -> Self | None:
        """Returns the execution of a row of `KNOWN`; None if it is damaged."""
        body = body_of(digest, row)
        if body is None or len(body) != JOB + 5:
            return None
        pages = int.from_bytes(body[JOB + 1 :], "big")
        return cls(Digest(digest), uuid, int.from_bytes(body[:JOB], "big"), pages, bool(body[JOB]))


#: Numbers that a page takes, whether it is full or not.
PAGE_NUMBERS: Final = limits.PAGE_ROWS
