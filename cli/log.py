"""`redun log`: the history, and anything in it by the start of its id."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

import click

from redun.cli.colors import Paint
from redun.cli.context import Settings, common_options, open_asking_store, open_store, settings
from redun.cli.exits import OK, UsageError
from redun.cli.filters import Filters, read_since, read_status
from redun.cli.history_view import run_line
from redun.cli.pager import write_lines
from redun.core.digest import Digest
from redun.core.errors import NotFound
from redun.core.forms import printable
from redun.store import Store
from redun.store.lookup_names import JobName, Named, ObjectName, Run, TaskName, find, find_object, runs

if TYPE_CHECKING:
    from redun.cli.file_names import FileName
    from redun.cli.steps import Steps

#: What `--file` lists without a path.
EVERY: Final = "*"


@click.command(short_help="Show executions, jobs, calls, tasks and values.")
@click.option("--jobs", is_flag=True, help="List jobs of all executions.")
@click.option("--calls", is_flag=True, help="List calls, each once.")
@click.option("--executions", is_flag=True, help="List executions, as without it; those that the options choose.")
@click.option("--task", metavar="NAME", help="Only of this task; executions that have jobs of it.")
@click.option("--status", metavar="STATE", help="Only what is done, failed, running, interrupted, cancelled or cached.")
@click.option("--since", metavar="WHEN", help="Only what began since: 2026-06-18, today, 2h, 3d.")
@click.option("--until", metavar="WHEN", help="Only what began until then.")
@click.option("--tag", "tags", multiple=True, metavar="NAME[=VALUE]", help="Only what is tagged so; may be repeated.")
@click.option("--arg", "argument", metavar="ID", help="Only what took that value as an argument.")
@click.option("--result", metavar="ID", help="Only what gave that value.")
@click.option("--value", metavar="ID", help="Only what took or gave that value.")
@click.option(
    "--file",
    is_flag=False,
    flag_value=EVERY,
    metavar="[PATH]",
    help="List files, or files of that path (* and ? are wild), with who read (r) and wrote (w) them; with "
    "--executions, --jobs or --calls, only what took or gave one.",
)
@click.option("--up", is_flag=True, help="The calls that the value or call ID came from.")
@click.option("--down", is_flag=True, help="The calls that took it, and what came of that.")
@click.option("--depth", type=click.IntRange(min=0), metavar="N", help="How many calls far --up or --down goes.")
@click.option("-n", "number", type=click.IntRange(min=0), metavar="N", help="How many at most; 0 for all.")
@click.option("--skip", type=click.IntRange(min=0), default=0, metavar="N", help="Leave out the first N.")
@click.option("--count", is_flag=True, help="Say only how many there are.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@common_options
@click.argument("name", metavar="[ID]", required=False)
@click.pass_context
def log(ctx: click.Context, /, name: str | None, *, as_json: bool, **chosen: Any) -> int:
    """List executions, newest first, or show what ID names.

    ID is the start (4 characters or more) of the id of an execution, job, call, task, value or any other object, the
    name of a task, or the path of a file (./main where a task is called main). `-` is the latest execution, `~1` the
    one before it. The options choose among the executions, jobs
    or calls that are listed, or among the jobs of the execution or job that ID names. Arguments are shown by name, as
    redun run shows them.

    \b
    redun log                                the last 20 executions
    redun log -n 0 --status failed           all that failed
    redun log -                              the jobs of the latest
    redun log ~1 --task greeter              its predecessor's jobs of a task
    redun log 5ede15ae                       a job: call, source, where its result came from
    redun log --jobs --task greeter          the last 20 jobs of a task, of whichever execution
    redun log --file 'data/*.csv'            such files, each state of them
    redun log data/in.csv                    a file: its states, who wrote and who read it
    redun log --jobs --file 'data/*.csv'     the jobs that read or wrote such a file
    redun log 58dc3a20 --up                  all calls that a value came from
    """
    chosen["what"] = _one_of(chosen, ("executions", "jobs", "calls"), "list different things")
    if chosen["what"] == "executions":
        chosen["what"] = None
    elif chosen["file"] is not None and chosen["what"] is None:
        chosen["what"] = "files"
    chosen["way"] = _one_of(chosen, ("up", "down"), "go different ways")
    found = settings(ctx)
    with (open_asking_store if _asks(chosen) or _is_path(name) else open_store)(found) as store:
        filters = _filters(store, chosen)
        named = None if name is None else _find(store, name, found)
        if named is not None and not isinstance(named, Run | JobName | ObjectName | TaskName):
            return _show_file(store, named, filters, chosen, found, as_json=as_json)
        _check(named, name, filters, chosen)
        if named is None and (chosen["what"] or filters.of_history() or chosen["count"]):
            return _list_found(store, filters, chosen, found, as_json=as_json)
        if named is not None and chosen["way"]:
            return _lineage(store, _start(store, named), filters, chosen, found, as_json=as_json)
        if as_json:
            from redun.cli.log_json import document, json_text  # here: text does without

            write_lines([json_text(_told(store, named, document(store, named, filters)))], found)
        else:
            write_lines(_lines(store, named, filters, found.paint(sys.stdout)), found)
    return OK


def _is_path(name: str | None) -> bool:
    """Whether a name may be a file's: it has a slash, as no other has, or there is such a file."""
    return name is not None and ("/" in name or os.path.lexists(name))


def _find(store: Store, name: str, found: Settings) -> Named | FileName:
    """What a name means; the path of a file where it means nothing else."""
    if "/" not in name:
        try:
            return find(store, name)
        except NotFound as error:
            missing = error
    else:
        hint = "redun log --file lists the files that executions took or gave"
        missing = NotFound(f"no execution took or gave {name!r}", hint=hint)
    from redun.cli.file_names import find_file  # here, as in what follows: lists of executions do without
    from redun.cli.graph import Graph
    from redun.cli.steps import steps

    with steps(wanted=not found.quiet) as progress:
        file = find_file(store, Graph(store), name, progress)
    if file is None:
        raise missing
    return file


def _one_of(chosen: Mapping[str, Any], names: Sequence[str], differ: str) -> str | None:
    """Which of some flags was given; at most one may be."""
    given = [name for name in names if chosen[name]]
    if len(given) > 1:
        raise UsageError(f"--{given[0]} and --{given[1]} {differ}", hint="leave one out")
    return given[0] if given else None


def _asks(chosen: Mapping[str, Any]) -> bool:
    """Whether an index has to answer."""
    return any(chosen[option] is not None for option in ("what", "way", "argument", "result", "value", "file"))


def _filters(store: Store, chosen: Mapping[str, Any]) -> Filters:
    now = time.time()
    status, since, until = chosen["status"], chosen["since"], chosen["until"]
    return Filters(
        task=chosen["task"],
        status=None if status is None else read_status(status),
        since=None if since is None else read_since(since, now),
        until=None if until is None else read_since(until, now, "--until"),
        number=chosen["number"],
        skip=chosen["skip"],
        tags=_tags(chosen["tags"]),
        argument=_value(store, "--arg", chosen["argument"]),
        result=_value(store, "--result", chosen["result"]),
        value=_value(store, "--value", chosen["value"]),
        file=chosen["file"],
    )


def _tags(texts: Sequence[str]) -> tuple[tuple[str, str | None], ...]:
    if not texts:
        return ()
    from redun.cli.tag_options import read_tag_option  # here, as what follows: lists that need it are few

    return tuple(map(read_tag_option, texts))


def _value(store: Store, option: str, text: str | None) -> Digest | None:
    if text is None:
        return None
    kind, digest = find_object(store, text)
    if kind != "value":
        raise UsageError(f"{option} {text} is no value, but of kind {kind}", hint="give the id of a value")
    return digest


def _check(named: Named | None, name: str | None, filters: Filters, chosen: Mapping[str, Any]) -> None:
    """Raises UsageError for options that do not go together."""
    if chosen["depth"] is not None and not chosen["way"]:
        raise UsageError("--depth says how far --up or --down goes", hint="give one of these")
    if named is None:
        if chosen["way"]:
            raise UsageError(f"--{chosen['way']} follows what an ID names", hint="give the id of a value, call or job")
        others = {*filters.given(), *filters.of_history()} - {"--file", "--skip", "-n"}
        if chosen["what"] == "files" and others:
            raise UsageError(
                f"{min(others)} does not choose files", hint="--jobs --file lists jobs, --executions executions"
            )
        if not chosen["what"]:
            filters.check_runs()
        return
    of_history = [option for option in filters.of_history() if option != "--skip" or not chosen["way"]]
    of_history += _listing_options(chosen)
    if of_history:
        raise UsageError(f"{of_history[0]} chooses from all that was run", hint=f"leave {name} out")
    given = filters.given()
    if chosen["way"]:
        given = [option for option in given if option != "-n"]
        if given or isinstance(named, Run | TaskName):
            what = given[0] if given else "an execution" if isinstance(named, Run) else "a task"
            hint = "give the id of a value, call or job, and --depth or -n to see less"
            raise UsageError(f"--{chosen['way']} follows values and calls, not {what}", hint=hint)
    elif given and isinstance(named, ObjectName | TaskName):
        what = named.kind if isinstance(named, ObjectName) else "task"
        hint = "leave the option out, or give an execution or a job"
        raise UsageError(f"{given[0]} chooses executions and jobs; {name} is a {what}", hint=hint)


def _listing_options(chosen: Mapping[str, Any]) -> list[str]:
    """The options that were given and make a list of what was run."""
    return [f"--{option}" for option in ("executions", "jobs", "calls", "count") if chosen[option]]


def _show_file(
    store: Store, file: FileName, filters: Filters, chosen: Mapping[str, Any], found: Settings, *, as_json: bool
) -> int:
    others = {*filters.given(), *filters.of_history(), *_listing_options(chosen)} - {"-n"}
    if chosen["way"]:
        others.discard("--skip")
    if others:
        hint = f"leave it out, or list with redun log --jobs --file {printable(file.path)}"
        raise UsageError(f"{min(others)} chooses executions and jobs, and {printable(file.path)} is a file", hint=hint)
    from redun.cli.file_view import file_document, file_view, start_of
    from redun.cli.graph import Graph

    if chosen["way"]:
        return _lineage(store, start_of(file), filters, chosen, found, as_json=as_json)
    graph = Graph(store)
    if as_json:
        from redun.cli.log_json import json_text

        write_lines([json_text(file_document(graph, file, filters.number))], found)
    else:
        write_lines(file_view(graph, file, filters.number, found.paint(sys.stdout)), found)
    return OK


def _list_found(store: Store, filters: Filters, chosen: Mapping[str, Any], found: Settings, *, as_json: bool) -> int:
    from redun.cli.graph import Graph
    from redun.cli.queries import Listing
    from redun.cli.steps import steps
    from redun.store.queries import Queries

    with steps(wanted=not found.quiet) as progress:
        what = chosen["what"] or "executions"
        listing = Listing(Graph(store), Queries(store, progress=progress), filters, what)
        if chosen["count"]:
            count = listing.count()
            progress.clear()
            write_lines([f'{{"count": {count}}}' if as_json else f"{count:,} {what}"], found)
        elif as_json:
            from redun.cli.log_json import json_text

            write_lines([json_text(listing.documents())], found)
        else:
            write_lines(_cleared(listing.lines(found.paint(sys.stdout)), progress), found)
    return OK


def _cleared(lines: Iterator[str], progress: Steps) -> Iterator[str]:
    for line in lines:
        progress.clear()
        yield line


def _lineage(
    store: Store, start: Digest, filters: Filters, chosen: Mapping[str, Any], found: Settings, *, as_json: bool
) -> int:
    from redun.cli.graph import Graph
    from redun.cli.queries import lineage_documents, lineage_lines
    from redun.cli.steps import steps

    graph = Graph(store)
    up = chosen["way"] == "up"
    with steps(wanted=not found.quiet) as progress:
        found_steps = store.lineage(start, up=up, depth=chosen["depth"], progress=progress)
        if as_json:
            from redun.cli.log_json import json_text

            document = {"start": start.hex(), "way": chosen["way"]}
            write_lines([json_text({**document, "calls": lineage_documents(graph, found_steps, filters)})], found)
        else:
            lines = lineage_lines(graph, found_steps, filters, found.paint(sys.stdout), up=up)
            write_lines(_cleared(lines, progress), found)
    return OK


def _start(store: Store, named: Named) -> Digest:
    """The value or call at which a lineage starts."""
    if isinstance(named, ObjectName):
        if named.kind not in ("value", "call", "blob", "tree"):
            raise UsageError(f"what is of kind {named.kind} has no lineage", hint="give the id of a value, call or job")
        return named.digest
    from redun.cli.graph import Graph
    from redun.cli.job_table import place_of

    assert isinstance(named, JobName)
    call = place_of(Graph(store), named)[1][-1].call
    if call is None:
        raise NotFound("the job has no call", hint="it has not begun")
    return call


def _told(store: Store, named: Named | None, document: Any) -> Any:
    if named is None:
        return document
    from redun.cli.said import document_with_tags

    return document_with_tags(store, named, document)


def _lines(store: Store, named: Named | None, filters: Filters, paint: Paint) -> Iterator[str]:
    if named is None:
        return _list(store, filters, paint)
    from redun.cli.said import tagged_lines

    return tagged_lines(store, named, _named_lines(store, named, filters, paint))


def _named_lines(store: Store, named: Named, filters: Filters, paint: Paint) -> Iterator[str]:
    # here and not at the top: the list of executions does without what reads calls and values
    from redun.cli.graph import Graph

    graph = Graph(store)
    if isinstance(named, Run) or (isinstance(named, JobName) and filters.given()):
        from redun.cli import job_lists

        if isinstance(named, Run):
            return job_lists.run_view(graph, named, filters, paint)
        return job_lists.jobs_below(graph, named, filters, paint)
    from redun.cli import details

    if isinstance(named, JobName):
        return details.job_view(graph, named, paint)
    if isinstance(named, TaskName):
        return details.task_view(graph, named, paint)
    view = details.VIEWS.get(named.kind)
    if view is not None:
        return view(graph, named.digest, paint)
    from redun.cli.object_view import object_view

    return object_view(graph, named.kind, named.digest, paint)


def _list(store: Store, filters: Filters, paint: Paint) -> Iterator[str]:
    chosen = filters.runs(runs(store))
    first = next(chosen, None)
    if first is None:
        yield "No executions match." if filters.selective else "No executions yet: redun run makes the first."
        return
    yield "Recent executions:"
    yield ""
    yield from (run_line(run, paint) for run in islice(chain([first], chosen), filters.most_runs))
    if next(chosen, None) is not None:
        yield "... more: redun log -n 0 lists all"
