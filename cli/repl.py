"""`redun repl`: Python with the store and a workflow at hand."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from redun.cli.context import common_options, existing_store, open_asking_store, settings
from redun.cli.exits import OK, UsageError
from redun.core.errors import RedunError
from redun.core.version import VERSION

if TYPE_CHECKING:
    from redun.cli.context import Settings
    from redun.cli.desk import Desk


@click.command(short_help="Python with the store at hand.")
@click.option("--plain", is_flag=True, help="Python's own prompt, also where IPython is installed.")
@common_options
@click.argument("names", nargs=-1, metavar="[ID] [FILE_OR_MODULE]")
@click.pass_context
def repl(ctx: click.Context, plain: bool, names: tuple[str, ...]) -> int:
    """Python with the store at hand, in IPython where that is installed. Its names:

    \b
    value(ID)           a value of the store, or the result of a job, a call or an execution
    args(ID)            the arguments of a job or a call, by name
    log(ID) show(ID) explain(ID)
                        what these commands print
    run(expression)     the value of a call, with this store
    executions()        the ids of the executions, latest first
    store, tasks, it    the store, the tasks of the workflow, and what ID names

    FILE is a workflow: its tasks and functions are there by their names. Without one, that of the execution or job that
    ID names is loaded. Values are made of classes that are loaded: name the workflow that has them.

    \b
    redun repl                               the store
    redun repl workflow.py                   and a workflow
    redun repl 5ede15ae                      a job: `it` is its result
    """
    found = settings(ctx)
    # Late, as all below: help loads no store.
    from redun.cli.desk import Desk
    from redun.cli.project import own_packages, project_settings

    own_packages(found)
    project_settings(found)
    name, target = _parted(names)
    path = existing_store(found)
    with open_asking_store(found) as store:
        desk = Desk(store, str(path), project_settings(found))
        known = desk.open(name, target, _tell)
        _talk(known, _banner(desk, found, name), plain=plain)
    return OK


def _parted(names: tuple[str, ...]) -> tuple[str | None, str | None]:
    """Returns (id, workflow)."""
    if len(names) > 2:
        raise UsageError(f"{names[2]} is one name too many", hint="redun repl [ID] [FILE_OR_MODULE]")
    if len(names) == 2:
        return names
    if not names:
        return None, None
    (only,) = names
    is_file = only.endswith(".py") or os.sep in only or os.path.exists(only)
    return (None, only) if is_file else (only, None)


def _tell(line: str) -> None:
    click.echo(line, err=True)


def _banner(desk: Desk, found: Settings, name: str | None) -> str:
    if found.quiet:
        return ""
    lines = [f"redun {VERSION} on {desk.path}; redun repl --help tells the names"]
    if desk.tasks:
        lines.append(f"tasks: {', '.join(sorted(desk.tasks))}")
    if name is not None:
        lines.append(f"it: {desk.about}")
    return "\n".join(lines)


def _talk(known: dict[str, Any], banner: str, *, plain: bool) -> None:
    if not plain and _talk_in_ipython(known, banner):
        return
    from code import InteractiveConsole

    class Console(InteractiveConsole):
        """Python's own prompt, which tells a mistake with an id in one line."""

        def showtraceback(self) -> None:
            error = sys.exc_info()[1]
            if isinstance(error, RedunError):
                self.write(f"{type(error).__name__}: {error}\n")
            else:
                super().showtraceback()

    _complete(known)
    Console(known, filename="<redun>").interact(banner, "")


def _talk_in_ipython(known: dict[str, Any], banner: str) -> bool:
    """Talks in IPython; returns whether it is installed."""
    try:
        from IPython.terminal import ipapp
    except ImportError:
        return False

    def tell(shell: Any, kind: Any, error: BaseException, trace: Any, tb_offset: Any = None) -> list[str]:
        _tell(f"{type(error).__name__}: {error}")
        return []

    application: Any = ipapp.TerminalIPythonApp.instance(user_ns=known)
    application.initialize(["--no-banner"])
    application.shell.set_custom_exc((RedunError,), tell)
    if banner:
        _tell(banner)
    application.start()
    return True


def _complete(known: dict[str, Any]) -> None:
    """Makes the tab key complete names."""
    try:
        import readline
        from rlcompleter import Completer
    except ImportError:  # a Python without it
        return
    readline.set_completer(Completer(known).complete)
    readline.parse_and_bind("tab: complete")
