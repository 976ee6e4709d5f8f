"""What `redun run --dry-run` prints: the jobs that would run, and how many others would be answered or are unknown."""

from __future__ import annotations

from redun.cli import exits
from redun.cli.context import write_out
from redun.cli.log_json import json_text
from redun.cli.progress import RunLines, table_time
from redun.cli.reason_view import reason_json
from redun.cli.render import call_text, status_table
from redun.executor.dry_run import DryRun


def report_dry_run(found: DryRun, lines: RunLines, *, as_json: bool) -> int:
    """Prints what a run would do and returns the exit code: 0 where nothing would run, 1 where something would."""
    if lines.wants_jobs:
        for job in found.misses:
            lines.tell(f"Miss   {call_text(job.task.fullname, found.arguments(job))}: {found.reason(job).text()}")
    lines.say()
    for line in status_table(found.counts, table_time()):
        lines.say(line)
    lines.say()
    lines.say(f"Dry run: {found.hits:,} cached, {len(found.misses):,} would run, {found.unknown:,} unknown beyond them")
    lines.close()
    if as_json:
        write_out(_json(found) + "\n")
    return exits.FAILED if found.misses else exits.OK


def _json(found: DryRun) -> str:
    misses = [
        {
            "task": job.task.fullname,
            "key": job.key.hex() if job.key else "",
            "why": job.why.name.lower(),
            "reason": reason_json(found.reason(job)),
        }
        for job in found.misses
    ]
    return json_text({"cached": found.hits, "would_run": len(misses), "unknown": found.unknown, "misses": misses})
