"""Files brought back from the bytes that the store keeps of them."""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
import json
from collections.abc import Iterator, Sequence
from glob import escape
from itertools import groupby
from typing import Any, Final, NamedTuple

from redun.cli.context import Settings, open_asking_store, write_out
from redun.cli.exits import UsageError
from redun.cli.file_lines import state_text
from redun.cli.file_names import spellings
from redun.cli.graph import Graph
from redun.cli.steps import Steps, steps
from redun.cli.units import size_text
from redun.core.errors import NotFound, TaskError
from redun.core.files.archive import bring_back
from redun.core.files.filesystems import filesystem_of
from redun.core.forms import printable
from redun.store.file_history import FileHistory, FileState
from redun.store.indexes.held_files import compared_by
from redun.store.lookup_names import Run, find
from redun.store.store import Store

#: Files that are named where several have changed.
_NAMED: Final = 5


class Choice(NamedTuple):
    """What the options of the command line chose.

    Attributes:
        output: where to write the one file.
        state: how the hash of the wanted state begins.
        execution: in which it was in the wanted state.
        force: whether files are written over that are there with another content.
    """

    output: str | None
    state: str | None
    execution: str | None
    force: bool


class _Wanted(NamedTuple):
    state: FileState
    place: str
    is_there: bool


def restore_files(found: Settings, names: Sequence[str], choice: Choice, *, as_json: bool) -> None:
    """Brings files back: all that are named, or none where one cannot be.

    Raises:
        NotFound: if the bytes of one are not kept.
        TaskError: if one is there with another content.
    """
    with open_asking_store(found) as store, steps(wanted=not found.quiet) as progress:
        history = FileHistory(Graph(store), store.index(progress=progress))
        picker = _Picker(store, history, choice)
        if choice.output is not None and len(names) > 1:
            raise UsageError(f"-o names one place, and these are {len(names):,}", hint="leave it out, or name one")
        wanted = [one for name in names for one in picker.wanted(name)]
        _refuse(wanted, choice)
        restored = list(_restored(store, wanted, progress))
        progress.clear()
        if as_json:
            write_out(json.dumps(restored) + "\n")
        elif not found.quiet:
            write_out("".join(_line(one) + "\n" for one in restored))


class _Picker:
    """Finds what is meant, and the state that is wanted of it."""

    def __init__(self, store: Store, history: FileHistory, choice: Choice) -> None:
        self._store = store
        self._history = history
        self._choice = choice
        self._run: Run | None = None
        if choice.execution is not None:
            named = find(store, choice.execution)
            if not isinstance(named, Run):
                raise UsageError(f"--from {choice.execution} is no execution", hint="redun log lists them")
            self._run = named

    def wanted(self, name: str) -> list[_Wanted]:
        """Returns the files that a path, a directory or a pattern means, each in the wanted state.

        Raises:
            NotFound: if there is none, or the bytes of none are kept.
        """
        known = False
        for path, place in spellings(self._store, name):
            states = self._history.states_of(path)
            if states:
                return [self._picked(states, self._choice.output or place)]
            for pattern, base, at in ((f"{escape(path)}/*", path, place), (path, "", "")):
                groups = [list(group) for _, group in groupby(self._history.states(pattern), _path)]
                known = known or bool(groups)
                kept = [group for group in groups if any(state.archive is not None for state in group)]
                if self._run is not None:
                    kept = [group for group in map(self._had, kept) if group]
                if kept:
                    top = self._elsewhere(kept, base) or at
                    return [self._picked(self._newest(g), top + g[0].path.removeprefix(base)) for g in kept]
        if known:
            raise _not_kept(name)
        hint = "redun log --file lists the files that executions took or gave"
        raise NotFound(f"{printable(name)} is no backup, and no execution took or gave such a file", hint=hint)

    def _elsewhere(self, kept: list[list[FileState]], base: str) -> str:
        """What is to stand in the place of `base` where the files of a directory are to be written elsewhere."""
        if self._choice.output is None:
            return ""
        if not base:
            hint = "leave it out, or name a file or a directory"
            raise UsageError(f"-o names one place, and the pattern means {len(kept):,} files", hint=hint)
        return self._choice.output.rstrip("/") or "/"

    def _newest(self, states: list[FileState]) -> list[FileState]:
        return sorted(states, key=lambda state: -(self._history.when(state) or 0))

    def _had(self, states: list[FileState]) -> list[FileState]:
        """Those of the states that the named execution wrote or read, the last first."""
        assert self._run is not None, "an execution is named"
        seen = [(self._history.seen_in(state, self._run.uuid), state) for state in states]
        return [state for when, state in sorted(seen, key=lambda pair: -(pair[0] or 0)) if when is not None]

    def _picked(self, states: list[FileState], place: str) -> _Wanted:
        """The wanted one of the states of a file, the newest of which comes first."""
        path, choice = states[0].path, self._choice
        if choice.state is not None:
            states = [s for s in states if s.state is not None and s.state.hex().startswith(choice.state.lower())]
            if len({state.state for state in states}) != 1:
                how = "is the start of several states" if states else "is no state"
                hint = f"redun log {printable(path)} -n 0 shows all states"
                raise NotFound(f"--state {choice.state} {how} of {printable(path)}", hint=hint)
        if self._run is not None:
            states = self._had(states)[:1]
            if not states:
                hint = f"redun log {printable(path)} tells which did"
                raise NotFound(f"execution {choice.execution} did not take or give {printable(path)}", hint=hint)
        kept = [state for state in states if state.archive is not None]
        if not kept:
            raise _not_kept(path)
        return _Wanted(kept[0], place, _is_there(kept[0], place))


def _path(state: FileState) -> str:
    return state.path


def _not_kept(path: str) -> NotFound:
    hint = "@task(archive=True) keeps those of the files that a task returns, from its next run on"
    return NotFound(f"the bytes of {printable(path)} are not kept, only its hash", hint=hint)


def _is_there(state: FileState, place: str) -> bool:
    """Whether the file is as wanted already."""
    by = compared_by(state.kind)
    return by == "content" and filesystem_of(place).state(place, by) == state.state


def _refuse(wanted: list[_Wanted], choice: Choice) -> None:
    """Raises TaskError for files that are there with another content."""
    if choice.force:
        return
    changed = [one.place for one in wanted if not one.is_there and filesystem_of(one.place).exists(one.place)]
    if changed:
        some = ", ".join(map(printable, changed[:_NAMED]))
        more = f" and {len(changed) - _NAMED:,} more" if len(changed) > _NAMED else ""
        raise TaskError(
            f"{some}{more}: there with another content, which would be lost",
            hint="--force writes over it, -o PATH writes elsewhere",
        )


def _restored(store: Store, wanted: list[_Wanted], progress: Steps) -> Iterator[dict[str, Any]]:
    for number, (state, place, is_there) in enumerate(wanted):
        assert state.archive is not None, "only those were picked"
        data = store.open_blob(state.archive)
        if not is_there:
            bring_back(store.format, state.archive, data, place, executable=state.executable)
        yield {
            "path": state.path,
            "written": None if is_there else place,
            "hash": "" if state.state is None else state.state.hex(),
            "blob": state.archive.hex(),
            "size": data.nbytes,
            "state": state_text(state),
        }
        progress("files", number + 1, len(wanted))


def _line(restored: dict[str, Any]) -> str:
    if restored["written"] is None:
        return f"Unchanged {printable(restored['path'])}, state {restored['state']}"
    size = size_text(restored["size"])
    return f"Restored {printable(restored['written'])}, state {restored['state']}, {size}"
