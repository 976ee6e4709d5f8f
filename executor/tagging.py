"""Tags that a run gives: to tasks and jobs by the option `tags`, to values and others by `apply_tags`."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from typing import Any

from redun.core.digest import Digest
from redun.core.scheduler_tasks import Tagging
from redun.core.tags import tag_pairs
from redun.executor.jobs import Job
from redun.store import Store
from redun.store.tags import Thing, of_job, of_object, of_task

Pairs = tuple[tuple[str, str], ...]


def write_tags(
    store: Store, uuid: bytes, asked: Sequence[tuple[Job, Digest, Tagging]], tagged: Sequence[tuple[Job, Any]]
) -> None:
    """Writes the tags of a run that has been sealed, in one transaction: a tag is about what is there.

    Args:
        asked: what scheduler tasks asked for.
        tagged: jobs whose options have tags.
    """
    wanted: dict[Thing, Pairs] = {}

    def give(thing: Thing, pairs: Pairs) -> None:
        if pairs:
            wanted[thing] = (*wanted.get(thing, ()), *pairs)

    for job, value, tags in asked:
        give(of_object(value), tags.value)
        if job.number >= 0 and job.is_recorded:
            give(of_job(uuid, job.number), tags.job)
    for job, options in tagged:
        give(of_job(uuid, job.number), tag_pairs(options))
        give(of_task(job.task.fullname), tag_pairs(job.task.task_options.get("tags") or ()))
    if wanted:
        store.tag_all(wanted.items(), author=_user())


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return ""
