"""What is measured on a store, in the order in which it is done: the last ones throw half of it away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from benchmarks.years.build import RUNS


class Case(NamedTuple):
    """A command.

    Attributes:
        name: stays the same from version to version.
        words: of the command line; `{job}` and the like stand for what the builder names.
        seconds, own_mb: what it may take on the largest store, by the clock and of memory of its own; None for what is
            only reported.
        repeat: how often it is run; once where it changes the store, or takes long.
        changes: whether it changes the store.
    """

    name: str
    words: str
    seconds: float | None = None
    own_mb: float | None = None
    repeat: int = 1
    changes: bool = False


#: Short ones are run so often: the first finds neither the file nor the modules in the cache.
_OFTEN: Final = 7

CASES: Final = (
    Case("reindex", "reindex"),
    Case("log", "log", 0.1, repeat=_OFTEN),
    Case("log-execution", "log {execution}", repeat=_OFTEN),
    Case("log-job", "log {job}", 0.1, repeat=_OFTEN),
    Case("log-oldest-job", "log {oldest_job}", repeat=_OFTEN),
    Case("log-task", "log years.step", 0.1, repeat=_OFTEN),
    Case("log-value", "log {value}", repeat=_OFTEN),
    Case("executions-by-task", "log --task years.fan", 0.1, repeat=_OFTEN),
    Case("executions-by-status", "log --status failed -n 0", repeat=_OFTEN),
    Case("executions-by-tag", "log --tag project=years", repeat=_OFTEN),
    Case("executions-by-time", "log --since today", repeat=_OFTEN),
    Case("jobs-by-task", "log --jobs --task years.step -n 20", 0.1, repeat=_OFTEN),
    Case("jobs-by-status", "log --jobs --status failed", repeat=_OFTEN),
    Case("jobs-by-time", "log --jobs --since today -n 20", repeat=_OFTEN),
    Case("jobs-by-value", "log --jobs --value {value}", repeat=_OFTEN),
    Case("jobs-counted", "log --jobs --task years.step --count", repeat=_OFTEN),
    Case("calls-by-task", "log --calls --task years.step -n 20", 0.1, repeat=_OFTEN),
    Case("calls-by-result", "log --calls --result {value}", repeat=_OFTEN),
    Case("files", "log --file", repeat=_OFTEN),
    Case("lineage-up", "log {value} --up", repeat=_OFTEN),
    Case("lineage-down", "log {value} --down -n 20", repeat=_OFTEN),
    Case("stats", "stats"),
    Case("fsck-1", "fsck --level 1"),
    Case("fsck-2", "fsck --level 2", 20.0),
    Case("fsck-4", "fsck --level 4"),
    Case("backup", "backup store.redun"),
    Case("prune", f"prune --keep-last {RUNS // 2}", changes=True),
    Case("gc-dry-run", "gc --dry-run"),
    Case("gc", "gc", 60.0, 300.0, changes=True),
    Case("gc-compact", "gc --compact", changes=True),
    Case("log-after", "log", repeat=_OFTEN),
    Case("fsck-2-after", "fsck --level 2"),
)


def command(case: Case, names: Mapping[str, str]) -> list[str]:
    """Returns the words of a case for a store."""
    return case.words.format(**names).split()
