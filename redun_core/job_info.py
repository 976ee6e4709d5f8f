"""What a job may be told of itself, and what stands where an argument is no part of a call."""

from __future__ import annotations

from types import EllipsisType
from typing import Final

#: In the place of an argument that is no part of the key and of the recorded call: calls keep as many as parameters.
NOT_KEYED: Final[EllipsisType] = ...


class JobInfo:
    """A parameter whose default is `JobInfo()` is given the facts of the job. It is no part of the cache key: a result
    that depends on it is remembered all the same.

    Attributes:
        execution_id, job_id: as `redun log` shows them.
        eval_hash: the cache key of the call, in hexadecimal.
        args_hash: a hash of its arguments, without those that are no part of the key.
    """

    def __init__(self, execution_id: str = "", job_id: str = "", eval_hash: str = "", args_hash: str = "") -> None:
        self.execution_id = execution_id
        self.job_id = job_id
        self.eval_hash = eval_hash
        self.args_hash = args_hash

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other) if isinstance(other, JobInfo) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.execution_id, self.job_id))

    def __repr__(self) -> str:
        return f"JobInfo(execution_id={self.execution_id!r}, job_id={self.job_id!r})"
