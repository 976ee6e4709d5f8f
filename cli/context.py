"""What every command shares: the options that stand everywhere (`--store --color -q -v`) and the way to the store.

A command takes them with `@common_options` and asks `settings(ctx)`; they may be written before or after its name, and
the one nearer to the end wins.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Literal, TypeVar

import click

from redun.cli.colors import CHOICES, Paint, painter, wants_color, write_escaped
from redun.cli.exits import OutputLost, UsageError
from redun.cli.project import UNREAD, chosen_color, project_settings, working_directory
from redun.core.errors import NotAStore

# Our store floor is imported inside functions: help and usage errors look for no store.
if TYPE_CHECKING:
    from redun.store import Store

STORE_VARIABLE: Final = "REDUN_STORE"
#: Under this name click's context keeps the words of the whole command line.
WORDS: Final = "redun.words"

_Command = TypeVar("_Command", bound=Callable[..., Any])


class Settings:
    """What the shared options and the environment say.

    Attributes:
        store: path given by `--store`, or None.
        config: path given by `--config`, or None.
        color: `auto`, `always` or `never`; None where none was given.
        jobs: number given by `--jobs`, or None.
        project: the settings of the project, once `project_settings` has looked for them.
        quiet, verbose: how often `-q` and `-v` were given.
    """

    __slots__ = ("color", "config", "jobs", "project", "quiet", "store", "verbose")

    def __init__(self, *, store: str | None = None, color: str | None = None, quiet: int = 0, verbose: int = 0) -> None:
        self.store = store
        self.config: str | None = None
        self.jobs: int | None = None
        self.project: Any = UNREAD
        self.color = color
        self.quiet = quiet
        self.verbose = verbose

    def paint(self, stream: IO[str] | None) -> Paint:
        """Returns what colours text for `stream`."""
        return painter(self.colors(stream))

    def colors(self, stream: IO[str] | None) -> bool:
        """Returns whether to colour what goes to `stream`: `--color` says so, or the environment, or the project."""
        color = self.color
        if color is None and not (os.environ.get("NO_COLOR") or os.environ.get("FORCE_COLOR")):
            color = chosen_color(self)
        return wants_color(color or "auto", stream, os.environ)

    def named_store(self) -> tuple[str, str] | None:
        """Returns (path, who named it) when the user named a store; an empty REDUN_STORE is none."""
        if self.store is not None:
            return self.store, "--store"
        path = os.environ.get(STORE_VARIABLE)
        return (path, STORE_VARIABLE) if path else None


def settings(ctx: click.Context | None = None) -> Settings:
    """Returns the settings of the running command, with the defaults where none were given."""
    return (ctx or click.get_current_context()).ensure_object(Settings)


def _remember(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    found = ctx.ensure_object(Settings)
    if not value:
        return
    if param.name in ("quiet", "verbose"):
        setattr(found, param.name, getattr(found, param.name) + value)
        if found.quiet and found.verbose:
            raise UsageError("-q and -v contradict each other", hint="give one of them")
    else:
        setattr(found, str(param.name), value)


def _option(*names: str, **attributes: Any) -> Callable[[_Command], _Command]:
    return click.option(*names, expose_value=False, callback=_remember, **attributes)


def output_options(command: _Command) -> _Command:
    """Adds `--color`, `-q` and `-v`. They land in `settings(ctx)`, not among the command's parameters."""
    for decorate in (
        _option("-v", "--verbose", count=True, help="Print more."),
        _option("-q", "--quiet", count=True, help="Print less."),
        _option("--color", type=click.Choice(CHOICES), help="When to colour (default: auto)."),
    ):
        command = decorate(command)
    return command


def common_options(command: _Command) -> _Command:
    """Adds `--store`, `--config` and the output options: what every command takes that works on a store."""
    config = _option("--config", metavar="PATH", help="The settings to use, a file or directory (also: REDUN_CONFIG).")
    named = _option("--store", metavar="PATH", help=f"The store to use (also: {STORE_VARIABLE}).")
    return named(config(output_options(command)))


def locate_store(found: Settings) -> Path | None:
    """Returns the path of the store that a command works on, or None where there is none yet.

    `--store` comes first, then REDUN_STORE, then `store.path` of the project's settings, then `.redun` here or in a
    directory above.

    Raises:
        NotAStore: if a store is named and missing.
        ConfigError: if there are settings that make no sense.
    """
    from redun.store.locate import find_store, store_at

    named = found.named_store() or _configured_store(found)
    if named is None:
        return find_store(working_directory())
    path, by = named
    try:
        return store_at(path)
    except NotAStore as error:
        raise NotAStore(f"{error.message} (named by {by})", path=error.path, hint=error.hint) from None


def open_store(found: Settings, *, read_only: bool = True) -> Store:
    """Opens the store that a command reads.

    Raises:
        NotAStore: if there is none; it is never made by reading.
        StoreError: what opening raises.
    """
    path = existing_store(found)
    from redun.store import Store

    return Store.open(path, read_only=read_only, durability="normal" if read_only else _durability(found))


def open_asking_store(found: Settings) -> Store:
    """Opens the store that a command asks questions which need indexes. These are brought up to date and kept where the
    store can be written to; elsewhere they are made in memory for the one command.

    Raises:
        NotAStore: if there is none.
        StoreError: what opening raises.
    """
    path = existing_store(found)
    from redun.core.errors import StoreFull, StoreLocked, StoreReadOnly
    from redun.store import Store

    try:
        return Store.open(path)
    except (StoreReadOnly, StoreLocked, StoreFull):
        return Store.open(path, read_only=True)


def existing_store(found: Settings) -> Path:
    """Returns the path of the store that a command reads.

    Raises:
        NotAStore: if there is none.
    """
    path = locate_store(found)
    if path is None:
        here = working_directory()
        hint = "redun init makes one; redun run does too"
        raise NotAStore(f"no store in {here} or above", path=str(here), hint=hint)
    return path


def open_or_create_store(found: Settings) -> Store:
    """Opens the store that a run writes to; makes `.redun` in the working directory where none is found.

    Raises:
        NotAStore: if a store is named and missing: a typing slip must not scatter stores.
        StoreError: what making or opening raises.
    """
    from redun.store import Store
    from redun.store.locate import create_store

    path = locate_store(found)
    if path is None:
        path = create_store(working_directory())
    return Store.open(path, durability=_durability(found))


def config_dir(found: Settings) -> Path:
    """Returns the directory around the store (`.redun`), or where a run would make it.

    Raises:
        NotAStore: if a store is named and missing.
    """
    from redun.store.locate import CONFIG_NAME, STORE_NAME

    path = locate_store(found)
    if path is None:
        return working_directory() / CONFIG_NAME
    return path.parent if path.name == STORE_NAME else path


def _configured_store(found: Settings) -> tuple[str, str] | None:
    project = project_settings(found)
    if project is None or project.store.path is None:
        return None
    from redun.executor.config.showing import place_text

    return str(project.store.path), place_text(project.entries["store", "path"].origin)


def _durability(found: Settings) -> Literal["normal", "durable"]:
    project = project_settings(found)
    return "normal" if project is None else project.store.durability


def debugging(found: Settings | None) -> bool:
    """Returns whether tracebacks of redun's own code are wanted: `-v` or REDUN_DEBUG."""
    return bool(os.environ.get("REDUN_DEBUG")) or (found is not None and found.verbose > 0)


def write_out(text: str) -> None:
    """Writes text to standard output as it is; whoever calls has escaped it. Does nothing where there is no output."""
    if sys.stdout is not None:
        with output_errors():
            write_escaped(sys.stdout, text)


@contextmanager
def output_errors() -> Iterator[None]:
    """Says of an error that it is standard output that takes no more. A reader that has gone is another matter.

    Raises:
        OutputLost: for any OSError but a broken pipe.
        BrokenPipeError: as it came.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        hint = "make room, or send it elsewhere; what ran is stored"
        raise OutputLost(f"cannot write to standard output: {error.strerror}", hint=hint) from None
