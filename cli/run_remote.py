"""What a run has to do with another store: asking it for results, and giving it those that it made."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Final

import click

from redun.cli.context import Settings, open_store
from redun.cli.project import project_settings
from redun.cli.remotes_of import sync_of
from redun.cli.sync_view import lines
from redun.core.errors import RedunError
from redun.core.forms import printable

if TYPE_CHECKING:
    from redun.store import Store
    from redun.store.sync.asking import Asker
    from redun.store.sync.sync import Moved

#: Seconds that a push may take, and then to end.
_PUSH_S: Final = 30.0
_ENDING_S: Final = 5.0
_DEFAULT: Final = "origin"


def asked(found: Settings, given: str | None) -> str | None:
    """Returns the name of the remote that a run asks: as given, or else by the settings."""
    project = project_settings(found)
    return given or (None if project is None else project.run.remote)


def pushed_to(found: Settings, given: str | None, push: bool | None) -> str | None:
    """Returns the name of the remote that a run gives its results to, or None."""
    project = project_settings(found)
    wanted = push if push is not None else project is not None and project.run.push
    return (asked(found, given) or _DEFAULT) if wanted else None


def asker(store: Store, found: Settings, name: str | None) -> AbstractContextManager[Asker | None]:
    """Returns what asks the remote of that name, if there is one to ask.

    Raises:
        NotFound: if the remote is not known.
        RemoteError: if it is not trusted with results.
    """
    return nullcontext() if name is None else sync_of(store, found).asker(name)


class _TooLong(Exception):
    """The push is not waited for any more."""


def push_results(found: Settings, name: str) -> None:
    """Gives a remote what it does not have, in the time that there is; what goes wrong is one line."""
    told = _pushed(found, name)
    if told and not found.quiet:
        click.echo(printable(told), err=True)


def _pushed(found: Settings, name: str) -> str:
    breakers: list[Callable[[], None]] = []
    answers: list[Moved | str] = []
    late = threading.Event()

    def progress(*_: object) -> None:
        if late.is_set():
            raise _TooLong

    with open_store(found) as store:
        sync = sync_of(store, found)

        def push() -> None:
            try:
                answers.append(sync.push(name, progress=progress, started=breakers.append))
            except _TooLong:
                pass
            except (RedunError, OSError) as error:
                answers.append(error.message if isinstance(error, RedunError) else str(error))

        thread = threading.Thread(target=push, name="redun-push", daemon=True)
        thread.start()
        try:
            thread.join(_PUSH_S)
        finally:
            if thread.is_alive():
                late.set()
                for end in breakers:
                    end()
                thread.join(_ENDING_S)
    if late.is_set():
        return f"Not all has gone to {name} in {_PUSH_S:.0f} s: redun push {name} goes on from there"
    [answer] = answers or ["it ended without an answer"]
    if isinstance(answer, str):
        return f"Nothing was pushed to {name}: {answer}"
    return next(lines(answer, "Pushed to"))
