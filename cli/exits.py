"""Exit codes: one table for people (`EXIT_CODES`) and one that gives every error of ours its code (`exit_code`)."""

from __future__ import annotations

from typing import Final

from redun.core import errors
from redun.core.errors import RedunError

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
MISSING: Final = 3
FORMAT: Final = 4
UNAVAILABLE: Final = 5
DAMAGED: Final = 6
INTERNAL: Final = 7
REMOTE: Final = 8
REPAIRED: Final = 10
DAMAGE_REMAINS: Final = 11
UNCHECKED: Final = 12
INTERRUPTED: Final = 130

EXIT_CODES: Final[tuple[tuple[int, str], ...]] = (
    (OK, "done"),
    (FAILED, "the workflow failed"),
    (USAGE, "the command line makes no sense: unknown option, missing or unreadable argument"),
    (MISSING, "not found: a file, a task, an id, or no store"),
    (FORMAT, "a store of a format or version that this redun does not read"),
    (UNAVAILABLE, "the store is full, read-only or locked"),
    (DAMAGED, "the store is damaged"),
    (INTERNAL, "an executor failed, or redun itself did"),
    (REMOTE, "a remote cannot be reached, refuses, or sends what is not what it says"),
    (REPAIRED, "fsck --repair: there was damage, and it is repaired"),
    (DAMAGE_REMAINS, "fsck: there is damage"),
    (UNCHECKED, "fsck: the store could not be checked"),
    (INTERRUPTED, "interrupted (Ctrl-C, SIGTERM, SIGHUP)"),
)


class UsageError(RedunError):
    """A command line that makes no sense; `hint` says what to write instead."""


class CannotCheck(RedunError):
    """A store that fsck could not look at; says nothing of whether it is sound."""


class OutputLost(RedunError):
    """Standard output takes no more: a full disk, a lost connection."""


#: The first family that fits decides, so narrow ones stand before wide ones.
_FAMILIES: Final[tuple[tuple[type[RedunError], int], ...]] = (
    (UsageError, USAGE),
    (errors.ConfigError, USAGE),
    (CannotCheck, UNCHECKED),
    (errors.NotAStore, MISSING),
    (errors.NotFound, MISSING),
    (errors.AmbiguousPrefix, MISSING),
    (errors.UnknownTask, MISSING),
    (errors.StoreFormatError, FORMAT),
    (errors.StoreFull, UNAVAILABLE),
    (errors.StoreFailing, UNAVAILABLE),
    (errors.StoreReadOnly, UNAVAILABLE),
    (errors.StoreLocked, UNAVAILABLE),
    (errors.RefMoved, UNAVAILABLE),
    (errors.StoreDamaged, DAMAGED),
    (errors.DigestCollision, DAMAGED),
    (errors.MalformedObject, DAMAGED),
    (errors.StoreError, UNAVAILABLE),
    (errors.Interrupted, INTERRUPTED),
    (errors.RemoteError, REMOTE),
    (errors.RemoteFileError, REMOTE),
    (errors.UnknownExecutor, INTERNAL),
    (errors.InternalError, INTERNAL),
    (OutputLost, INTERNAL),
)


def exit_code(error: RedunError) -> int:
    """Returns the exit code of an error that ended a command; what is in no family failed in the workflow."""
    for family, code in _FAMILIES:
        if isinstance(error, family):
            return code
    return FAILED


def exit_code_table() -> str:
    """Returns the table as lines of `code  meaning`, for help texts."""
    return "\n".join(f"{code:>5}  {meaning}" for code, meaning in EXIT_CODES)
