"""The command `redun`: finds the subcommand, runs it, and turns every error into one line and an exit code.

Subcommands are a table of names and loaded when called, so that `redun --help` imports none of them.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import IO, Final

import click

from redun.cli import exits
from redun.cli.context import WORDS, Settings, common_options, debugging, output_errors
from redun.core.errors import InternalError, RedunError
from redun.core.version import VERSION

#: name -> (module, function, one line of help). The line is repeated from the command so that listing loads nothing.
COMMANDS: Final[dict[str, tuple[str, str, str]]] = {
    "init": ("redun.cli.init", "init", "Make a store."),
    "run": ("redun.cli.run", "run", "Run a task of a workflow, or show its tasks."),
    "log": ("redun.cli.log", "log", "Show executions, jobs, calls, tasks and values."),
    "replay": ("redun.cli.replay", "replay", "Run one recorded call again."),
    "repl": ("redun.cli.repl", "repl", "Python with the store at hand."),
    "explain": ("redun.cli.explain", "explain", "Say how a job was answered, and why it ran."),
    "diff": ("redun.cli.diff", "diff", "What differs between two executions."),
    "show": ("redun.cli.show", "show", "One screen about anything."),
    "report": ("redun.cli.report.command", "report", "Write an execution as a page, a graph or a trace."),
    "cat-object": ("redun.cli.cat_object", "cat_object", "Show one object of the store."),
    "check": ("redun.cli.check", "check", "Find mistakes in a workflow without running it."),
    "config": ("redun.cli.config", "config", "Show settings, and where each came from."),
    "doctor": ("redun.cli.doctor", "doctor", "Say what may be wrong here."),
    "fsck": ("redun.cli.fsck", "fsck", "Check that the store is sound, and repair it."),
    "reindex": ("redun.cli.reindex", "reindex", "Make the indexes anew."),
    "stats": ("redun.cli.stats", "stats", "Say what the store holds."),
    "tag": ("redun.cli.tag", "tag", "Tag executions, jobs, tasks, calls and values."),
    "pin": ("redun.cli.pin", "pin", "Keep something, whatever is pruned."),
    "unpin": ("redun.cli.pin", "unpin", "Let go of what was pinned."),
    "prune": ("redun.cli.prune", "prune", "Choose which executions stay."),
    "gc": ("redun.cli.gc", "gc", "Sweep what no execution leads to."),
    "fs": ("redun.cli.fs", "fs", "Copy files from and to wherever they are."),
    "remote": ("redun.cli.remote", "remote", "Names for other stores."),
    "push": ("redun.cli.push", "push", "Give a remote what this store has."),
    "fetch": ("redun.cli.fetch", "fetch", "Get the history of a remote, and leave this one as it is."),
    "pull": ("redun.cli.fetch", "pull", "Get the history of a remote, and what it computed as hits."),
    "clone": ("redun.cli.clone", "clone", "Make a store with all that a remote has."),
    "bundle": ("redun.cli.bundle", "bundle", "History as a file, to be carried elsewhere."),
    "serve": ("redun.cli.serve", "serve", "Answer one push or pull, over standard input and output."),
    "backup": ("redun.cli.backup", "backup", "Write the store as one file."),
    "restore": ("redun.cli.restore", "restore", "Bring back archived files, or a store from a backup."),
    "convert": ("redun.cli.convert", "convert", "Name objects in another way."),
    "help": ("redun.cli.app", "help_command", "Show help for redun, a COMMAND, or exit-codes."),
}

EXIT_CODES_TOPIC: Final = "exit-codes"
#: Characters of a message or a hint that are printed.
_MESSAGE_CHARS: Final = 2_000
#: Set by a shell that wants completions.
_COMPLETION: Final = "_REDUN_COMPLETE"


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called or asked for their own help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Returns the command of that name, or None."""
        if cmd_name not in COMMANDS:
            return None
        module, function, _ = COMMANDS[cmd_name]
        command = getattr(importlib.import_module(module), function)
        if not isinstance(command, click.Command):
            raise InternalError(f"{module}.{function} is no command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds the command that the first word names.

        Raises:
            UsageError: if there is none; names the closest.
        """
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            raise exits.UsageError(f"no command {name!r}", hint=closest(name, COMMANDS) or "redun --help lists them")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the list of commands from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in COMMANDS.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes an example and the exit codes."""
        with formatter.section("Example"):
            formatter.write("  redun run hello_world.py main --greet Hi\n")
        with formatter.section("Exit codes"):
            formatter.write(exits.exit_code_table() + "\n")


def closest(name: str, names: Iterable[str]) -> str:
    """Returns `did you mean X?` for the name most like the one given, or an empty text."""
    from difflib import get_close_matches  # here: only ever needed on the way to an error

    matches = get_close_matches(name, list(names), n=1)
    return f"did you mean {matches[0]}?" if matches else ""


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(VERSION, "-V", "--version", message="redun :: version %(version)s")
@common_options
@click.pass_context
def redun(ctx: click.Context) -> int | None:
    """Workflows as plain Python functions: run, cached, and remembered in a content-addressed store."""
    if ctx.invoked_subcommand is not None:
        return None
    click.echo(ctx.get_help(), err=True)
    return exits.USAGE


@click.command("help")
@click.argument("command", required=False)
@click.pass_context
def help_command(ctx: click.Context, command: str | None) -> None:
    """Show help for redun, a COMMAND, or exit-codes.

    Example: redun help gc
    """
    if command == EXIT_CODES_TOPIC:
        click.echo(exits.exit_code_table())
        return
    root = ctx.find_root()
    if command is None:
        click.echo(redun.get_help(root))
        return
    found = redun.get_command(root, command)
    if found is None:
        raise exits.UsageError(f"no command {command!r}", hint=closest(command, [*COMMANDS, EXIT_CODES_TOPIC]))
    click.echo(found.get_help(click.Context(found, info_name=command, parent=root)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code; the console script passes it to `sys.exit`.

    Never raises: errors become one line on standard error. A reader of our output that has gone (`| head`) is no error.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    settings = Settings()
    try:
        code = _run(words, settings)
        _flush()
    except BrokenPipeError:
        code = exits.OK
    except KeyboardInterrupt:
        code = exits.INTERRUPTED
        _complain("redun: interrupted")
    except Exception as error:  # noqa: BLE001 - the last line of defence: the user gets a sentence, never our frames
        code = _report(error, settings)
    _let_go_of_broken_pipes()
    return code


def _run(words: list[str], settings: Settings) -> int:
    if _COMPLETION in os.environ:
        redun.main(args=words, prog_name="redun", complete_var=_COMPLETION)
    # Not `redun.main`: it answers a closed pipe and an interrupt itself, in its own way.
    try:
        with redun.make_context("redun", list(words), obj=settings) as ctx:
            ctx.meta[WORDS] = words
            result = redun.invoke(ctx)
    except click.exceptions.Exit as done:
        return done.exit_code
    return result if isinstance(result, int) else exits.OK


def _report(error: Exception, settings: Settings) -> int:
    """Prints what went wrong and returns the exit code."""
    if isinstance(error, click.Abort):
        _complain("redun: interrupted")
        return exits.INTERRUPTED
    if isinstance(error, click.ClickException):
        _complain(error_line(*_click_error(error), settings))
        return exits.USAGE
    if isinstance(error, RedunError):
        _complain(error_line(error.message, error.hint, settings))
        code = exits.exit_code(error)
        if code == exits.INTERNAL and isinstance(error, InternalError):
            _complain_of_bug(settings)
        elif debugging(settings) and code != exits.USAGE:
            _complain_with_frames()
        return code
    if isinstance(error, OSError):
        _complain(error_line(_os_message(error), "", settings))
        if debugging(settings):
            _complain_with_frames()
        return exits.INTERNAL
    _complain(error_line(f"{type(error).__name__}: {error}", "", settings))
    _complain_of_bug(settings)
    return exits.INTERNAL


def error_line(message: str, hint: str, settings: Settings) -> str:
    """Returns `redun: error: message; hint`, escaped so that it is one line whatever the message quotes."""
    # Here and not at the top: commands that succeed do not need it.
    from redun.core.concealed import redacted
    from redun.core.forms import printable

    message = redacted(message)
    start = settings.paint(sys.stderr)("redun: error:", "failed")
    shown = [_middle_out(printable(part)) for part in (message, hint) if part]
    return f"{start} {'; '.join(shown)}"


def _middle_out(text: str) -> str:
    """Returns the text without its middle where it is longer than anybody reads: a whole argument may be quoted."""
    half = _MESSAGE_CHARS // 2
    return text if len(text) <= _MESSAGE_CHARS else f"{text[:half]} ... {text[-half:]}"


def _sentence(text: str) -> str:
    text = " ".join(text.split()).rstrip(".")
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _click_error(error: click.ClickException) -> tuple[str, str]:
    """Returns (message, hint) of an error of click's."""
    context = getattr(error, "ctx", None)
    hint = f"see {context.command_path} --help" if context is not None else ""
    if isinstance(error, click.NoSuchOption):
        return f"no option {error.option_name}", closest(error.option_name, list(error.possibilities or ())) or hint
    return _sentence(error.format_message()).replace("a valid integer range", "a whole number"), hint


def _os_message(error: OSError) -> str:
    what = error.strerror or str(error) or type(error).__name__
    return f"{what}: {error.filename}" if error.filename else what


def _complain_of_bug(settings: Settings) -> None:
    _complain("redun: this is a bug in redun" + ("" if debugging(settings) else "; -v shows where"))
    if debugging(settings):
        _complain_with_frames()


def _complain_with_frames() -> None:
    from traceback import format_exc

    _complain(format_exc().rstrip("\n"))


def _complain(text: str) -> None:
    # Where nobody reads it there is nowhere left to say so.
    with suppress(OSError, ValueError, AttributeError):
        click.echo(text, err=True, color=True)


def _flush() -> None:
    """Writes what is waiting. A task may have closed or removed a stream: what was printed to it is its own affair."""
    with output_errors(), suppress(ValueError, AttributeError):
        sys.stdout.flush()
    with suppress(OSError, ValueError, AttributeError):  # nobody is left to be told that nobody can be told
        sys.stderr.flush()


def _let_go_of_broken_pipes() -> None:
    """Points a stream whose reader has gone at nothing, or the interpreter would complain about it while it exits."""
    for stream in (getattr(sys, "stdout", None), getattr(sys, "stderr", None)):
        if stream is None:
            continue
        try:
            stream.flush()
        except (OSError, ValueError):
            _discard(stream)


def _discard(stream: IO[str]) -> None:
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


if __name__ == "__main__":
    sys.exit(main())
