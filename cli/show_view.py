"""The facts that `redun show` tells, as lines: one screen for each thing."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from typing import Final

from redun.cli.code_facts import ObjectFacts, RunFacts, TaskFacts, VersionFact
from redun.cli.colors import Paint
from redun.cli.dependencies import depends_lines
from redun.cli.facts import ArgumentFact, CallFacts, JobFact, JobFacts, Listed, NodeFact, ValueFacts
from redun.cli.history_view import SHORT, clock, duration_text
from redun.cli.parts import indented
from redun.core.digest import Digest
from redun.core.forms import printable

#: Versions of a task named.
_VERSIONS: Final = 8
_NODES: Final = {"call": "CallNode", "task": "Task"}


def show_job(facts: JobFacts, paint: Paint) -> Iterator[str]:
    """Yields the lines of a job."""
    job = facts.job
    yield f"Job {paint(job.job, 'id')} {job.status} {clock(job.start)}:  {job.text}"
    yield f"  in Exec {paint(job.execution[:SHORT], 'id')}" + "".join(
        f" > Job {paint(above.job[:SHORT], 'id')} {printable(above.task or '?')}" for above in facts.lineage
    )
    took = "" if facts.duration is None else f", {duration_text(int(facts.duration * 1_000_000))}"
    tried = f", attempt {facts.attempt}" if facts.attempt > 1 else ""
    yield f"  on {printable(facts.executor)}{took}{tried}"
    yield ""
    yield facts.answer
    if job.call is not None:
        yield ""
        yield f"CallNode {paint(job.call.hex(), 'id')}"
        yield from _computed(facts.arguments, facts.outcome, facts.result, facts.result_text, paint)
    yield from _listed("It called", facts.calls, paint)
    yield from depends_lines(facts.depends, paint)


def show_call(facts: CallFacts, paint: Paint) -> Iterator[str]:
    """Yields the lines of a call."""
    yield f"CallNode {paint(facts.id.hex(), 'id')} {facts.fullname}"
    yield f"  Task {_id(facts.task, paint)}"
    yield from _computed(facts.arguments, facts.outcome, facts.result, facts.result_text, paint)
    if facts.made_by is not None:
        yield ""
        yield "Made by:"
        yield f"  {_job(facts.made_by, paint)}"
    yield from _listed("It answered, in the newest execution that has it", facts.answered, paint)
    yield from _listed("Called by", facts.called_by, paint)
    yield from _listed("It called", facts.calls, paint)
    yield from depends_lines(facts.depends, paint)


def show_value(facts: ValueFacts, paint: Paint) -> Iterator[str]:
    """Yields the lines of a value."""
    yield f"Value {paint(facts.id.hex(), 'id')} {facts.type}, {_count(facts.size, 'byte')}"
    yield from indented(facts.lines)
    if facts.more_lines:
        yield f"  ... {facts.more_lines:,} more lines: redun cat-object {facts.id.hex()[:SHORT]}"
    yield from _file_lines(facts, paint)
    yield from _listed("Made by", facts.made_by, paint)
    yield from _listed("Used by", facts.used_by, paint)
    if not facts.made_by.total and not facts.used_by.total:
        yield ""
        yield "No call in the history gave it or took it as an argument: it is part of something, or of code."
    yield from depends_lines(facts.depends, paint)


def _file_lines(facts: ValueFacts, paint: Paint) -> Iterator[str]:
    number = len(facts.files) + facts.more_files
    if number:
        yield ""
        yield f"Holds {_count(number, 'file')}:"
    for file in facts.files:
        kept = "" if file.archive is None else f", kept as {paint(file.archive[:SHORT], 'id')}"
        yield f"  {file.path} {'missing' if file.hash is None else file.hash[:SHORT]}{kept}"
    if facts.more_files:
        yield f"  ... {facts.more_files:,} more"


def show_task(facts: TaskFacts, paint: Paint) -> Iterator[str]:
    """Yields the lines of a task."""
    yield f"Task {paint(facts.id.hex(), 'id')} {facts.fullname}{facts.parameters}"
    yield f"  {_count(facts.jobs, 'job')} in {_count(facts.executions, 'execution')}"
    yield ""
    yield f"What of its code is tracked: {_MODES.get(facts.code, facts.code)}"
    if facts.version is not None:
        yield f"  version       {facts.version}"
    if facts.text is not None:
        yield f"  own text      source {_id(facts.text, paint)}"
    for use in facts.uses:
        text = f" = {use.text}" if use.how == "constant" else f" {use.text}" if use.text else ""
        kind = "value" if use.how == "constant" else "source"
        target = "" if use.target is None else f"  {kind} {_id(use.target, paint)}"
        yield f"  {use.how:<13} {use.name}{text}{target}"
    if facts.untracked:
        yield ""
        yield "Not tracked:"
        yield from (f"  {use.name}: {use.text}" for use in facts.untracked)
    yield ""
    yield "Versions, newest first:" if facts.versions else "No execution in the history used it."
    yield from (_version(version, facts.id, paint) for version in facts.versions[:_VERSIONS])
    if len(facts.versions) > _VERSIONS:
        yield f"  ... {len(facts.versions) - _VERSIONS:,} more"
    if facts.source:
        yield ""
        yield from indented(facts.source)
        if facts.more_lines:
            yield f"  ... {facts.more_lines:,} more lines: redun log {facts.id.hex()[:SHORT]}"


_MODES: Final = {
    "closure": "its own text, and everything of the user's own that it uses",
    "function": "its own text alone",
    "version": "its version alone",
    "unknown": "none, for its source cannot be verified; it is never answered from the cache",
}


def show_run(facts: RunFacts, paint: Paint) -> Iterator[str]:
    """Yields the lines of an execution."""
    yield f"Exec {paint(facts.execution, 'id')} {facts.status} {clock(int(facts.start * 1_000_000))}"
    yield f"  {printable(shlex.join(facts.argv)) or 'from a program'}"
    yield f"  {', '.join(f'{printable(name)} {printable(value)}' for name, value in facts.info)}"
    took = f"  took {duration_text(int(facts.duration * 1_000_000))}"
    yield took + ("" if facts.before is None else f", after Exec {paint(facts.before[:SHORT], 'id')}")
    yield ""
    if facts.error:
        yield f"Failed: {facts.error}"
    else:
        yield f"Result: {facts.result}" if facts.result else "Result: none so far"
    yield "Jobs: " + ", ".join(f"{number:,} {name}" for name, number in facts.counts if number)
    if facts.ran:
        total = sum(number for _, number in facts.reasons)
        yield ""
        counted = ", ".join(f"{name} {number:,}" for name, number in facts.reasons)
        yield f"Ran: {'the first ' if facts.cut else ''}{_count(total, 'job')} ({counted})"
        for ran in facts.ran:
            more = f" (and {_count(ran.jobs - 1, 'more job')})" if ran.jobs > 1 else ""
            yield f"  Job {paint(ran.job[:SHORT], 'id')}  {printable(ran.task or '?')}: {ran.reason}{more}"
        left = total - sum(ran.jobs for ran in facts.ran)
        if left:
            yield f"  ... {left:,} more: redun explain {facts.execution[:SHORT]}"
    yield from depends_lines(facts.depends, paint)


def show_object(facts: ObjectFacts, paint: Paint) -> Iterator[str]:
    """Yields the lines of any other object."""
    yield f"{facts.kind} {paint(facts.id.hex(), 'id')}, {_count(facts.size, 'byte')}"
    yield from indented(facts.lines)
    if facts.more_lines:
        yield f"  ... more: redun cat-object {facts.id.hex()[:SHORT]}"
    if facts.pointers:
        kinds = ", ".join(f"{number:,} {kind}" for kind, number in facts.points_to)
        yield ""
        yield f"Points to {facts.pointers:,} objects: {kinds}"
    yield from _listed("Used by", facts.held_by, paint)


# -- parts ------------------------------------------------------------------------------------------------------------


def _id(digest: Digest, paint: Paint) -> str:
    return paint(digest.hex()[:SHORT], "id")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _computed(
    arguments: Iterable[ArgumentFact], outcome: str, result: Digest | None, text: str, paint: Paint
) -> Iterator[str]:
    for argument in arguments:
        yield f"  {argument.name} = {_id(argument.value, paint)} {argument.text}"
    if result is not None:
        yield f"  {'raised' if outcome == 'raised' else '->'} {_id(result, paint)} {text}"
    else:
        yield "  -> nothing yet: it has not ended, or was stopped"


def _listed(title: str, listed: Listed, paint: Paint) -> Iterator[str]:
    if not listed.total:
        return
    yield ""
    yield f"{title}:" if listed.total == 1 else f"{title} ({listed.total:,}):"
    for item in listed.items:
        yield f"  {_job(item, paint) if isinstance(item, JobFact) else _node(item, paint)}"
    if listed.total > len(listed.items):
        yield f"  ... {listed.total - len(listed.items):,} more"


def _job(fact: JobFact, paint: Paint) -> str:
    note = f" {fact.note}" if fact.note else ""
    name = f"Job {paint(fact.job[:SHORT], 'id')} of Exec {paint(fact.execution[:SHORT], 'id')}"
    return f"{name}{note}, {fact.status} {clock(fact.start)}: {fact.text}"


def _node(fact: NodeFact, paint: Paint) -> str:
    return f"{_NODES[fact.kind]} {_id(fact.id, paint)} {fact.text}"


def _version(version: VersionFact, shown: Digest, paint: Paint) -> str:
    mark = "*" if version.task == shown else " "
    several = f" to {clock(version.ended)}" if version.executions > 1 else ""
    when = (
        f"{clock(version.began)}{several}, {_count(version.executions, 'execution')}, last Exec {version.last[:SHORT]}"
    )
    return f"{mark} Task {_id(version.task, paint)} {when}"
