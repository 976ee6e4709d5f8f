"""Jobs in Chrome's trace format, which Perfetto (https://ui.perfetto.dev) and chrome://tracing read.

The format is described in Google's "Trace Event Format": complete events (`ph: X`) on threads of one process, with
times in microseconds. A thread is a lane: what ran beside each other is drawn so.
"""

from __future__ import annotations

from typing import Any

from redun.cli.report.facts import HOWS, STATES, Report


def trace(report: Report) -> dict[str, Any]:
    """Returns the document of a trace: one event a body that ran."""
    jobs = report.jobs
    events: list[dict[str, Any]] = [_named("process_name", 0, f"redun {report.execution['command']}")]
    events += [_named("thread_name", lane, f"slot {lane + 1}") for lane in range(max(jobs["lane"], default=-1) + 1)]
    end = report.execution["duration"]
    for place, lane in enumerate(jobs["lane"]):
        if lane < 0:
            continue
        start, duration = jobs["start"][place], jobs["duration"][place]
        reason = jobs["reason"][place]
        facts = {
            "job": jobs["id"][place],
            "state": STATES[jobs["state"][place]],
            "how": HOWS[jobs["how"][place]],
            "executor": report.executors[jobs["executor"][place]],
            "arguments": jobs["args"][place],
            "reason": "" if reason < 0 else report.reasons[reason]["text"],
        }
        events.append(
            {
                "name": report.tasks[jobs["task"][place]]["name"],
                "cat": "job",
                "ph": "X",
                "pid": 1,
                "tid": lane,
                "ts": start,
                "dur": max(end - start, 0) if duration < 0 else duration,
                "args": {name: fact for name, fact in facts.items() if fact},
            }
        )
    return {
        "traceEvents": events,
        "displayTimeUnit": "ms",
        "otherData": {"execution": report.execution["id"], "started": report.execution["started"]},
    }


def _named(what: str, lane: int, name: str) -> dict[str, Any]:
    return {"name": what, "ph": "M", "pid": 1, "tid": lane, "args": {"name": name}}
