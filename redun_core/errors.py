"""Every error of redun, in families. Each carries structured fields, and a hint that says what to do next.

The root is `RedunError`. A family maps to one exit code of the command line (see `cli/app.py`), so that a script
can tell "your workflow failed" from "your disk is full" without reading prose.
"""

from __future__ import annotations

from typing import Final


class RedunError(Exception):
    """Root of all errors that redun raises on purpose.

    `message` says what happened and where, `hint` what to do next (may be empty).
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class WorkflowWarning(UserWarning):
    """A mistake in a workflow that stops nothing: what it says is not what was meant."""


class ConfigError(RedunError):
    """Settings that make no sense, or that cannot be read; `path` and `line` say where, `key` which."""

    def __init__(self, message: str, *, path: str = "", line: int | None = None, key: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path = path
        self.line = line
        self.key = key


# -- codec ------------------------------------------------------------------------------------------------------------


class CodecError(RedunError):
    """Bytes or a value that the canonical encoding does not admit."""


class MalformedObject(CodecError):
    """Bytes that are not a canonical object: wrong frame, not canonical msgpack, unknown schema or extension."""


class ValueTooDeep(CodecError):
    """A value nested deeper than `limits.VALUE_DEPTH`, or one that contains itself."""


class CannotEncode(CodecError):
    """A value that has no deterministic encoding; `path` says where inside the value it is."""

    def __init__(self, message: str, *, path: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path = path


class CannotDecode(CodecError):
    """A stored value whose class or adapter is not available to the running workflow."""


# -- store ------------------------------------------------------------------------------------------------------------


class StoreError(RedunError):
    """Root of what can go wrong with a store; `path` is the store's directory when there is one."""

    def __init__(self, message: str, *, path: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path = path


class NotAStore(StoreError):
    """Nothing at the path, or something that is not a store."""


class StoreFormatError(StoreError):
    """A store of an object format or version that this program does not read."""


class StoreFull(StoreError):
    """The disk or the map is full; the transaction was aborted and nothing changed."""


class StoreFailing(StoreError):
    """The disk answers with input/output errors. What was being written may be lost, also where it is seen for now."""


class StoreReadOnly(StoreError):
    """A write to a store that was opened read-only or whose directory admits no writing."""


class StoreLocked(StoreError):
    """Another process holds the lock that the operation needs."""


class LibraryMissing(StoreError):
    """What it takes to read some of a store is not installed here. Nothing is wrong with the store."""


class StoreDamaged(StoreError):
    """Stored bytes that are not what was written."""


class NotFound(StoreError):
    """No object, ref, execution or job of that name."""


class AmbiguousPrefix(StoreError):
    """A prefix that names several things; `candidates` are (kind, full id) pairs."""

    def __init__(self, message: str, *, candidates: list[tuple[str, str]], hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.candidates = candidates


class DigestCollision(StoreError):
    """Two different byte strings with one id. Nothing was written; both are kept under `collisions/`.

    `path` is where, empty if they could not be kept.
    """

    WHAT_TO_DO: Final = (
        "at least one was built on purpose: `redun init --object-format sha256` makes a store for strangers' data"
    )


#: What ends a run wherever it is met, for the store cannot take what the run has to write. No failure of a job.
UNWRITABLE: Final = (DigestCollision, StoreFull, StoreFailing, StoreReadOnly)


class RefMoved(StoreError):
    """A compare-and-swap of a ref found another value than expected."""


# -- tasks and evaluation ---------------------------------------------------------------------------------------------


class TaskError(RedunError):
    """A task that is declared or called in a way that has no meaning."""


class NoCurrentScheduler(TaskError):
    """Somebody asked for the scheduler that is running, and none is."""


class UnknownTask(TaskError):
    """No task of that name is registered."""


class DuplicateTask(TaskError):
    """Two live tasks with one full name and different code."""


class ExpressionError(TaskError, TypeError):
    """A lazy value used where a concrete one is needed (truth, iteration, formatting as text)."""


class RemoteError(RedunError):
    """A remote that cannot be reached, refuses, or sends what is not what it says; `remote` names it."""

    def __init__(self, message: str, *, remote: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.remote = remote


class RunError(RedunError):
    """Root of what stops an execution that is not the user's own exception."""


class CycleError(RunError):
    """A job that waits for itself."""


class StaleInput(RunError):
    """An external value changed between being named and being read: a dependency is missing."""


class UnknownExecutor(RunError):
    """A task names an executor that is not configured."""


class LimitTooLarge(RunError):
    """A job that needs more of a named resource than there is."""


class WorkerCodeMismatch(RunError):
    """A worker has other code than the run: it was edited meanwhile, or differs from process to process."""


class WorkerLost(RunError):
    """What ran the job went away again and again: a process that died, a machine that was cut off."""


class JobTimeout(RunError, TimeoutError):
    """A body that ran longer than the job's `timeout`."""


class RemoteFileError(RunError, OSError):
    """A remote file of which nothing is to be told: its server cannot be reached, fails, or does not answer in time.

    Never raised for a file of which the server says that it is not there. `url` is without secrets; `passing` says
    whether trying again soon may help.
    """

    def __init__(self, message: str, *, url: str = "", hint: str = "", passing: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.url = url
        self.passing = passing


class RemoteFileDenied(RemoteFileError, PermissionError):
    """A remote file that its server does not let us have, with the credentials that we have or without any."""


class ScriptError(RedunError):
    """A script that did not end well, or did not leave what it was to make.

    `command` is its text. `returncode` is its exit code, None where it has none; `signal` names the signal that ended
    it, or is empty. `stderr` is the end of what it wrote there, `left_out` the number of bytes before that.
    """

    def __init__(
        self,
        message: str,
        *,
        command: str = "",
        returncode: int | None = None,
        signal: str = "",
        stderr: bytes = b"",
        left_out: int = 0,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.command = command
        self.returncode = returncode
        self.signal = signal
        self.stderr = stderr
        self.left_out = left_out


class Interrupted(RunError):
    """The run was stopped by a signal; what had finished is recorded."""


class InternalError(RunError):
    """A broken promise inside redun. Always a bug of ours."""
