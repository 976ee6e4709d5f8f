"""`redun run`: loads a workflow, reads a task's arguments, runs it, and prints how that went."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Final, Literal, NamedTuple

import click

from redun.cli import exits
from redun.cli.colors import write_escaped
from redun.cli.context import (
    WORDS,
    Settings,
    common_options,
    config_dir,
    open_or_create_store,
    output_errors,
    settings,
    write_out,
)
from redun.cli.exits import UsageError
from redun.cli.loading import find_task, load
from redun.cli.project import own_packages, project_settings, remark_line
from redun.core.errors import InternalError, TaskError, UnknownExecutor, UnknownTask
from redun.core.version import VERSION

if TYPE_CHECKING:
    from redun.cli.arguments import Arguments, Parameter
    from redun.cli.progress import RunLines
    from redun.cli.surroundings import Streams
    from redun.core.tasks import Task
    from redun.executor.loader import Workflow
    from redun.executor.observer import Execution
    from redun.store import Store
    from redun.store.sync.asking import Asker

HELP: Final = ("help", "--help", "-h")


class _Wishes(NamedTuple):
    """The command's own options, and the words that it was called with."""

    argv: list[str]
    options: tuple[str, ...]
    cache: bool
    jobs: int | None
    as_json: bool
    replay: Literal["whole", "step"]
    dry_run: bool
    accepted: tuple[str, ...]
    withdrawn: tuple[str, ...]
    hidden: bool
    explain: bool
    debug: bool
    tags: tuple[tuple[str, str], ...]
    keep_going: bool
    context: Mapping[str, Any]
    remote: str | None
    push: bool | None
    #: Where the result is printed.
    out: IO[str] | None = None


@click.command(
    short_help="Run a task of a workflow, or show its tasks.",
    # What stands after the file belongs to the task, whatever it is called.
    context_settings={"allow_interspersed_args": False},
)
@click.option(
    "--no-cache", is_flag=True, help="Use no result of an earlier execution; results are stored all the same."
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Task bodies that run at once (also: REDUN_JOBS; default: 20).",
)
@click.option(
    "-k", "--keep-going", is_flag=True, help="After a failure, go on with all that does not depend on what failed."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document.")
@click.option(
    "--replay",
    type=click.Choice(["whole", "step"]),
    default="whole",
    help="Replay finished subtrees in one step (default), or look up every job by itself. Results are the same.",
)
@click.option(
    "--dry-run", is_flag=True, help="Say what would run; run nothing, write nothing. Exit 1 if something would."
)
@click.option("--dryrun", "dry_run_old", is_flag=True, hidden=True)
@click.option("--explain", is_flag=True, help="Say of each job that runs why it was not answered from the cache.")
@click.option(
    "--debug",
    is_flag=True,
    help="Run tasks one by one on one thread: breakpoint() works, and a failure opens the debugger.",
)
@click.option(
    "--accept-code",
    "accepted",
    multiple=True,
    metavar="TASK",
    help="The change of this task's code does not matter: what was computed before it stays valid.",
)
@click.option(
    "--withdraw-code", "withdrawn", multiple=True, metavar="TASK", help="Take back an --accept-code of this task."
)
@click.option(
    "--no-record-args",
    "hidden",
    is_flag=True,
    help="Record *** for the arguments of the task; what it hands on or returns is recorded all the same.",
)
@click.option(
    "--remote", metavar="NAME", help="Ask this remote for results that are not here (redun remote add NAME URL)."
)
@click.option(
    "--push/--no-push", default=None, help="Give the remote (default: origin) what it lacks when the run has ended."
)
@click.option("-t", "--tag", "tags", multiple=True, metavar="KEY=VALUE", help="Tag the execution; may be repeated.")
@click.option("--project", metavar="NAME", help="Tag the execution: project=NAME (also: REDUN_PROJECT).")
@click.option("--doc", metavar="TEXT", help="Tag the execution: doc=TEXT.")
@click.option("-u", "--user", metavar="NAME", help="Tag the execution: user=NAME (also: REDUN_USER).")
@click.option(
    "-o",
    "--option",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set an option of the task, such as cache=false or retries=2; may be repeated.",
)
@click.option(
    "--context",
    "context_words",
    multiple=True,
    metavar="PATH.KEY=VALUE",
    help="Set a value of the context, as JSON or text; may be repeated.",
)
@click.option(
    "--context-file", metavar="FILE", help="Take the context from a JSON or TOML file; --context is stronger."
)
@common_options
@click.argument("target", metavar="FILE_OR_MODULE")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[TASK [--ARG VALUE ...]]")
@click.pass_context
def run(ctx: click.Context, /, target: str, words: tuple[str, ...], **given: Any) -> int:
    """Run a task of a workflow, with arguments made from its parameters.

    Options of redun run stand before the file; all that follows the task belongs to the task. The result goes to
    standard output, everything else to standard error. Without a store, one is made in the working directory.

    \b
    redun run hello_world.py help               its tasks
    redun run hello_world.py main help          what a task takes
    redun run hello_world.py main info          its id and source
    redun run hello_world.py main --greet Hi    run it
    redun run --dry-run hello_world.py main     what would run, and why
    redun run --explain hello_world.py main     run it, and say why each job ran
    redun run --debug hello_world.py main       run it, and stop where it fails
    """
    # Here and not at the top, as all of the engine: `redun run --help` does without.
    from redun.cli.surroundings import kept_streams, stoppable

    wishes = _wishes(_argv(ctx), given)
    _check(wishes)
    found = settings(ctx)
    found.jobs = wishes.jobs
    with stoppable(), kept_streams() as streams:
        return _run(target, words, found, wishes, streams)


def _run(target: str, words: Sequence[str], found: Settings, wishes: _Wishes, streams: Streams) -> int:
    from redun.cli.progress import RunLines
    from redun.cli.render import shell_text

    level = 0 if found.quiet else 1 + bool(found.verbose)
    command = shell_text(["redun", *wishes.argv])
    paint = found.paint(streams.err)
    lines = RunLines(streams.err, paint, command, level, explains=wishes.explain, draws=not wishes.debug)
    if wishes.explain and wishes.as_json:
        lines.reasons = []
    try:
        lines.say(f"redun :: version {VERSION}")
        lines.say(f"config dir: {_shown(str(config_dir(found)))}")
        own_packages(found)
        if remarks := remark_line(project_settings(found)):
            lines.say(remarks)
        workflow = load(target, lines.tell)
        # A task may be named `help`, too; then `--help` lists.
        if not words or (words[0] in HELP and all(task.name != words[0] for task in workflow.tasks)):
            lines.flush()
            return _list_tasks(workflow, target, asked=bool(words))
        task = find_task(workflow, words[0], target)
        settle = partial(_settle_code, workflow, target, found, lines, wishes)
        return _run_task(task, words[1:], found, lines, wishes._replace(out=streams.out), settle)
    finally:
        lines.close()


def _wishes(argv: list[str], given: Mapping[str, Any]) -> _Wishes:
    """Returns the command's own options, read from what click has made of them.

    Raises:
        UsageError: for tags and values of the context that make no sense.
    """
    return _Wishes(
        argv=argv,
        options=given["options"],
        cache=not given["no_cache"],
        jobs=given["jobs"],
        as_json=given["as_json"],
        replay=given["replay"],
        dry_run=given["dry_run"] or given["dry_run_old"],
        accepted=given["accepted"],
        withdrawn=given["withdrawn"],
        hidden=given["hidden"],
        explain=given["explain"],
        debug=given["debug"],
        tags=_tags(given["tags"], {name: given[name] for name in ("project", "doc", "user")}),
        keep_going=given["keep_going"],
        remote=given["remote"],
        push=given["push"],
        context=_context(given["context_file"], given["context_words"]),
    )


def _check(wishes: _Wishes) -> None:
    """Raises UsageError for options that contradict each other."""
    both = set(wishes.accepted) & set(wishes.withdrawn)
    if both:
        raise UsageError(f"--accept-code and --withdraw-code of {min(both)}", hint="give one of them")
    if wishes.dry_run and wishes.debug:
        raise UsageError("--dry-run runs nothing, so there is nothing to debug", hint="give one of them")
    if wishes.dry_run and (wishes.remote or wishes.push):
        raise UsageError("--dry-run asks no other store, and gives it nothing", hint="leave --remote and --push out")
    if wishes.dry_run and (wishes.accepted or wishes.withdrawn):
        word = "--accept-code" if wishes.accepted else "--withdraw-code"
        raise UsageError(f"--dry-run writes nothing, and {word} is written down", hint="give one of them")


def _tags(texts: Sequence[str], named: Mapping[str, str | None]) -> tuple[tuple[str, str], ...]:
    """Returns tags as pairs, sorted, each once.

    Raises:
        UsageError: for one that is no pair.
    """
    if not texts and not any(named.values()):
        return ()
    from redun.cli.tag_options import read_pair  # here: few executions are tagged

    words = [f"{name}={value}" for name, value in named.items() if value is not None]
    return tuple(sorted({read_pair(word) for word in (*texts, *words)}))


def _context(file: str | None, words: Sequence[str]) -> Mapping[str, Any]:
    if file is None and not words:
        return {}
    from redun.cli.run_options import given_context  # here: few runs are given one

    return given_context(file, words)


def _argv(ctx: click.Context) -> list[str]:
    """Returns the words of the command line that ended here, as text that can be stored."""
    words = ctx.find_root().meta.get(WORDS, ["run"])
    return [os.fsencode(word).decode("utf-8", "backslashreplace") for word in words]


def _shown(text: str) -> str:
    from redun.core.forms import printable

    return printable(text)


# -- the workflow and the task ----------------------------------------------------------------------------------------


def _list_tasks(workflow: Workflow, target: str, *, asked: bool) -> int:
    from redun.cli.task_help import task_list

    if not workflow.tasks and not asked:
        raise UnknownTask(f"{target} defines no tasks", hint="decorate a function with @task()")
    text = task_list(workflow.tasks)
    if asked:
        write_out(text + "\n")
        return exits.OK
    click.echo(text, err=True)
    raise UsageError("no task is named", hint=f"redun run {target} TASK")


def _run_task(
    task: Task[..., Any],
    words: Sequence[str],
    found: Settings,
    lines: RunLines,
    wishes: _Wishes,
    settle: Callable[[], None],
) -> int:
    """Runs a task, or tells about it. `settle` writes down what code is accepted: only where the task is run."""
    from redun.cli.arguments import Request, parameters_of, parse_arguments
    from redun.cli.render import shell_text
    from redun.core.codec import storable

    parameters = parameters_of(task)
    own = {name for param in run.params for name in param.opts}
    arguments = parse_arguments(task.fullname, parameters, words, own, hidden=wishes.hidden)
    if arguments.request is Request.HELP:
        return _help(task, parameters)
    if arguments.request is Request.INFO:
        return _info(task, found)
    if arguments.shown != list(words):
        argv = [*wishes.argv[: len(wishes.argv) - len(words)], *map(storable, arguments.shown)]
        wishes = wishes._replace(argv=argv)
        lines.names(shell_text(["redun", *argv]))
    if wishes.hidden:
        arguments = _hidden(arguments)
    expression = _call(task, arguments, wishes.options)
    if wishes.dry_run:
        return _dry_run(expression, found, lines, wishes)
    settle()
    if wishes.debug:
        return _debug(expression, task, found, lines, wishes)
    execution = _execute(expression, found, lines, wishes)
    code = _report(execution, task, lines, wishes)
    if code != exits.INTERRUPTED:
        _push(found, wishes)
    return code


def _push(found: Settings, wishes: _Wishes) -> None:
    """Gives the remote what it lacks, where that is wanted; whatever comes of it, the run is what it was."""
    if wishes.push is None and project_settings(found) is None:
        return
    from redun.cli.run_remote import push_results, pushed_to  # here: few runs give anything

    name = pushed_to(found, wishes.remote, wishes.push)
    if name is not None:
        push_results(found, name)


def _debug(expression: Any, task: Task[..., Any], found: Settings, lines: RunLines, wishes: _Wishes) -> int:
    from redun.cli.debugging import debugger, post_mortem
    from redun.core.history import Status

    with debugger():
        execution = _execute(expression, found, lines, wishes)
        code = _report(execution, task, lines, wishes)
        if execution.status is Status.FAILED and not post_mortem(execution.error):
            lines.tell("There is no frame to look at: no body raised that in this run")
            lines.flush()
    return code


def _hidden(arguments: Arguments) -> Arguments:
    """Returns the arguments as ones that no store and no screen shows."""
    from redun.core.secrets import Hidden, Secret

    def hide(value: Any) -> Any:
        return value if isinstance(value, Secret) else Hidden(value)

    kwargs = {name: hide(value) for name, value in arguments.kwargs.items()}
    return arguments._replace(args=tuple(map(hide, arguments.args)), kwargs=kwargs)


def _help(task: Task[..., Any], parameters: list[Parameter]) -> int:
    from shutil import get_terminal_size

    from redun.cli.task_help import task_help

    width = min(get_terminal_size().columns, 100)
    write_out(task_help(task.fullname, task.__doc__, parameters, width) + "\n")
    return exits.OK


def _info(task: Task[..., Any], found: Settings) -> int:
    from textwrap import dedent

    from redun.cli.context import locate_store
    from redun.cli.task_help import task_info
    from redun.core.digest import DEFAULT_FORMAT, object_format
    from redun.core.keys import prepare
    from redun.store.locate import object_format_of

    store = locate_store(found)
    fmt = DEFAULT_FORMAT if store is None else object_format(object_format_of(store))
    write_out(task_info(task, prepare(task, fmt).digest.hex(), dedent(task.capture.text)))
    return exits.OK


# -- running ----------------------------------------------------------------------------------------------------------


def _call(task: Task[..., Any], arguments: Arguments, options: Sequence[str]) -> Any:
    if not options:
        return task(*arguments.args, **arguments.kwargs)
    from redun.cli.run_options import task_options  # here: few runs are given some

    try:
        return task.options(**task_options(options))(*arguments.args, **arguments.kwargs)
    except TaskError as error:
        raise UsageError(error.message, hint=error.hint) from None


def _execute(expression: Any, found: Settings, lines: RunLines, wishes: _Wishes) -> Execution:
    from redun.cli.surroundings import kept_modules
    from redun.executor.scheduler import Scheduler

    with open_or_create_store(found) as store, _asker(store, found, wishes) as remote, kept_modules():
        scheduler = Scheduler(
            store,
            threads=wishes.jobs,
            cache=wishes.cache,
            replay=wishes.replay,
            observer=lines,
            keep_going=wishes.keep_going,
            config=project_settings(found),
            debug=wishes.debug,
            remote=remote,
        )
        return scheduler.execute(expression, argv=wishes.argv, tags=wishes.tags, context=wishes.context)


def _asker(store: Store, found: Settings, wishes: _Wishes) -> AbstractContextManager[Asker | None]:
    if not wishes.cache or (wishes.remote is None and project_settings(found) is None):
        return nullcontext()
    from redun.cli.run_remote import asked, asker  # here: few runs ask anybody

    return asker(store, found, asked(found, wishes.remote))


def _dry_run(expression: Any, found: Settings, lines: RunLines, wishes: _Wishes) -> int:
    from redun.cli.context import locate_store
    from redun.cli.dry import report_dry_run
    from redun.executor.contexts import run_context
    from redun.executor.dry_run import dry_run
    from redun.store import Store

    path = locate_store(found)
    context = run_context(project_settings(found), wishes.context)
    with Store.memory() if path is None else Store.open(path, read_only=True) as store:
        would = dry_run(store, expression, cache=wishes.cache, replay=wishes.replay, context=context)
        return report_dry_run(would, lines, as_json=wishes.as_json)


def _settle_code(workflow: Workflow, target: str, found: Settings, lines: RunLines, wishes: _Wishes) -> None:
    """Notes the changes of code that are said to be of no matter, and those that are taken back."""
    if not wishes.accepted and not wishes.withdrawn:
        return
    from getpass import getuser

    from redun.executor.accepted import accept, withdraw

    with open_or_create_store(found) as store:
        for name in wishes.withdrawn:
            withdraw(store, find_task(workflow, name, target))
            lines.say(f"Withdrawn: accepted code of {_shown(name)}")
        for name in wishes.accepted:
            task = find_task(workflow, name, target)
            earlier = accept(store, task, getuser())
            said = "has not changed" if earlier is None else f"stands for {earlier.hex()[:8]}"
            lines.say(f"Accepted: the code of {_shown(task.fullname)} {said}")


def _report(execution: Execution, task: Task[..., Any], lines: RunLines, wishes: _Wishes) -> int:
    from redun.cli.progress import table_time
    from redun.cli.render import duration_text, status_table
    from redun.cli.results import execution_json, failure_lines, result_text

    lines.say()
    for line in status_table(execution.counts, table_time()):
        lines.say(line)
    lines.say()
    lines.say(f"Execution duration: {duration_text(execution.duration)}")
    code = _exit_code(execution)
    if code == exits.INTERRUPTED:
        lines.tell("*** Execution interrupted. What had finished is stored.")
    elif code != exits.OK:
        for line in failure_lines(execution):
            lines.tell(line)
    lines.close()
    if wishes.as_json:
        _print(execution_json(execution, task.fullname, wishes.argv, lines.reasons) + "\n", wishes.out)
    elif code == exits.OK:
        _print(result_text(execution.value), wishes.out)
    return code


def _exit_code(execution: Execution) -> int:
    from redun.core.history import Status

    if execution.status is Status.DONE:
        return exits.OK
    if execution.status is Status.INTERRUPTED:
        return exits.INTERRUPTED
    # What the workflow itself raised is its failure, also where that is an error of ours.
    return exits.INTERNAL if isinstance(execution.error, InternalError | UnknownExecutor) else exits.FAILED


def _print(text: str, out: IO[str] | None) -> None:
    """Prints the result. That nobody reads it changes nothing about how the workflow ended.

    Raises:
        OutputLost: if it cannot be written for another reason, such as a full disk.
    """
    with suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()  # what bodies printed comes first, as far as they left a stream
    if out is None:
        return
    with suppress(BrokenPipeError), output_errors():
        write_escaped(out, text)
        out.flush()
