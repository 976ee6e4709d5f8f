"""What `redun run --dry-run` prints: the jobs that would run, and how many others would be answered or are unknown."""

from __future__ import annotations

from typing import Any, Final

from redun.cli import exits
from redun.cli.context import write_out
from redun.cli.progress import RunLines, table_time
from redun.cli.render import call_text, status_table
from redun.core.objects import Why
from redun.executor.dry_run import DryRun
from redun.executor.jobs import Job

_REASONS: Final = {
    Why.FIRST: "no earlier call of this task",
    Why.CODE: "its code changed",
    Why.ARGUMENT: "its arguments are new",
    Why.EXTERNAL: "a file of its result changed",
    Why.MISSING: "its earlier result is missing",
    Why.UNDECODABLE: "its earlier result cannot be read any more",
    Why.OFF_TASK: "the task does not use the cache",
    Why.OFF_RUN: "the cache is off for this run",
    Why.UNKNOWN_CODE: "its code cannot be verified",
    Why.ERROR: "it failed last time",
}


def report_dry_run(found: DryRun, lines: RunLines, *, as_json: bool) -> int:
    """Prints what a run would do and returns the exit code: 0 where nothing would run, 1 where something would."""
    for job in found.misses:
        lines.say(f"Miss   {call_text(job.task.fullname, _arguments(job))}: {_REASONS.get(job.why, 'it has to run')}")
    lines.say()
    for line in status_table(found.counts, table_time()):
        lines.say(line)
    lines.say()
    lines.say(f"Dry run: {found.hits:,} cached, {len(found.misses):,} would run, {found.unknown:,} unknown beyond them")
    lines.close()
    if as_json:
        write_out(_json(found) + "\n")
    return exits.FAILED if found.misses else exits.OK


def _arguments(job: Job) -> list[tuple[str, Any]]:
    return [(name, arg.obj if arg.plain else "...") for name, arg in zip(job.prepared.names, job.args, strict=False)]


def _json(found: DryRun) -> str:
    import json  # most dry runs are read by people

    misses = [
        {"task": job.task.fullname, "key": job.key.hex() if job.key else "", "why": job.why.name.lower()}
        for job in found.misses
    ]
    return json.dumps({"cached": found.hits, "would_run": len(misses), "unknown": found.unknown, "misses": misses})
