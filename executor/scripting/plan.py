"""One script from its inputs to its outputs: where it runs, what is staged, what it leaves."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from redun.core.errors import ScriptError
from redun.core.files.file import File
from redun.core.files.filesystems import filesystem_of
from redun.core.files.local import LOCAL
from redun.core.files.sets import Dir, FileSet
from redun.core.files.staging import Output, Pairs, Staging, copy_all, file_pairs, tree_pairs
from redun.core.files.written import note_written
from redun.executor.scripting.interpreters import executable
from redun.executor.scripting.lines import text_of
from redun.executor.scripting.outputs import STDOUT, leads_out, leaves, replaced
from redun.executor.scripting.running import STDOUT_BYTES, CannotStartError, Ended, run_command

#: Lines of standard error, and characters of one, that the text of an error has; and names of a directory.
_LINES: Final = 20
_CHARS: Final = 500
_NAMES: Final = 20


class Plan:
    """What a script is, all said.

    Args:
        command: its text.
        inputs: any value; what is a staging value in it is staged.
        outputs: any value with `Output` in the places of files.
        tempdir: whether it runs in a directory of its own, which is there as long as it runs.
    """

    def __init__(self, command: str, inputs: Any, outputs: Any, *, tempdir: bool = False) -> None:
        self.command = command
        self._inputs = inputs
        self._outputs = outputs
        self._tempdir = tempdir

    def run(self) -> Any:
        """Runs the script, and returns its outputs.

        Raises:
            ScriptError: if it fails, cannot be started, or does not leave what it was to make.
            OSError: if a file cannot be staged.
        """
        outputs = [item for item in leaves(self._outputs) if type(item) is Output]
        wants_stdout = any(output.path == STDOUT for output in outputs)
        with self._directory() as directory:
            copy_all(self._staged(directory))
            in_place = [output for output in outputs if output.local is None and issubclass(output.kind, File)]
            seen = {id(output): _look(output.path) for output in in_place}
            for output in outputs:
                _make_place(output, directory)
            ended = self._execute(directory, keeps=wants_stdout)
            files = [output for output in outputs if output.path != STDOUT]
            copy_all([pair for output in files for pair in self._made(output, directory, seen.get(id(output)))])
        values = {id(output): ended.stdout if output.path == STDOUT else output.value() for output in outputs}
        return replaced(self._outputs, lambda item: values.get(id(item), item))

    @contextmanager
    def _directory(self) -> Iterator[str]:
        """Gives the directory that local paths are seen from; empty for the working directory."""
        if not self._tempdir:
            yield ""
            return
        directory = tempfile.mkdtemp(prefix="redun-script-")
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def _staged(self, directory: str) -> Pairs:
        pairs: Pairs = []
        for item in leaves(self._inputs):
            if isinstance(item, Staging):
                if directory and leads_out(item.local_path):
                    raise ScriptError(f"the local path {item.local_path!r} leads out of the temporary directory")
                pairs += item.pairs_in(directory)
        return pairs

    # -- running ------------------------------------------------------------------------------------------------------

    def _execute(self, directory: str, *, keeps: bool) -> Ended:
        with executable(self.command) as argv:
            try:
                ended = run_command(argv, directory or None, keeps=keeps)
            except CannotStartError as error:
                raise self._not_started(error.args[0], argv) from None
        if ended.flooded:
            raise self._failed(
                ended,
                f"the script was ended: it wrote more than {STDOUT_BYTES >> 20} MiB to standard output",
                hint="that is its value, and is held in memory: write it to a file, and declare that as an output",
            )
        if ended.code:
            raise self._failed(ended, *_how(ended))
        return ended

    def _not_started(self, error: OSError, argv: list[str | bytes]) -> Exception:
        program = os.fsdecode(argv[0])
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            said = self.command.startswith("#!")
            return ScriptError(
                f"the script cannot be started: there is no {program} on this machine",
                command=self.command,
                hint="name another interpreter after #!" if said else "install it, or begin the command with #!/bin/sh",
            )
        if error.errno in (errno.EACCES, errno.ENOEXEC):
            return ScriptError(
                f"the script cannot be started: {program} cannot be executed: {error.strerror}", command=self.command
            )
        return error  # no memory, no processes, no descriptors, no disk: nothing of the script's

    def _failed(self, ended: Ended, message: str, hint: str = "") -> ScriptError:
        lines = text_of(ended.stderr).rstrip().split("\n")
        last = lines[-1][:_CHARS]
        error = ScriptError(
            f"{message}: {last}" if last else message,
            command=self.command,
            returncode=ended.code if ended.code >= 0 else None,
            signal=_signal_name(-ended.code) if ended.code < 0 else "",
            stderr=ended.stderr,
            left_out=ended.left_out,
            hint=hint,
        )
        if len(lines) > 1:
            of = "" if len(lines) <= _LINES and not ended.left_out else f", its last {min(_LINES, len(lines))} lines"
            error.add_note("\n".join([f"standard error{of}:", *(f"  {line[:_CHARS]}" for line in lines[-_LINES:])]))
        return error

    # -- outputs ------------------------------------------------------------------------------------------------------

    def _made(self, output: Output, directory: str, before: Any) -> Pairs:
        """Returns what is to be copied to put an output where it belongs.

        Raises:
            ScriptError: if the script has not written it.
            OSError: if it cannot be read.
        """
        if issubclass(output.kind, FileSet) and not issubclass(output.kind, Dir):
            return []  # whatever there is, also nothing
        is_file = issubclass(output.kind, File)
        written = output.path if output.local is None else output.local
        here = os.path.join(directory, written) if filesystem_of(written) is LOCAL else written
        if _is_there(here, is_file):
            if output.local is None and before != _look(output.path):
                note_written(output.path)
            return file_pairs(here, output.path) if is_file else tree_pairs(here, output.path, hidden=output.hidden)
        in_place = directory and output.local is None and not filesystem_of(here).exists(here)
        if not (in_place and _is_there(output.path, is_file) and before != _look(output.path)):
            raise self._missing(written, here, is_file)
        note_written(output.path)
        return []

    def _missing(self, written: str, here: str, is_file: bool) -> ScriptError:
        filesystem = filesystem_of(here)
        if filesystem.exists(here):
            made, wanted = ("directory", "file") if is_file else ("file", "directory")
            return ScriptError(
                f"the script made a {made} of its output {written}, which is declared as a {wanted}",
                command=self.command,
                hint=f"declare it as a {'Dir' if is_file else 'File'}",
            )
        held = f"its directory {_listed(os.path.dirname(here))}" if filesystem is LOCAL else ""
        return ScriptError(f"the script did not write its output {written}", command=self.command, hint=held)


def _how(ended: Ended) -> tuple[str, str]:
    """Returns how a command failed, and what may help."""
    if ended.code < 0:
        return f"the script was killed by {_signal_name(-ended.code)} ({-ended.code})", ""
    told = f"the script exited with {ended.code}"
    if 128 < ended.code <= 128 + signal.NSIG and (name := _signal_name(ended.code - 128)):
        return f"{told} (a process of it was killed by {name})", ""
    if b"unbound variable" in ended.stderr:
        return told, "a variable that is not set is an error: write ${NAME:-}, or `set +u` first"
    return told, ""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _make_place(output: Output, directory: str) -> None:
    """Makes the directories that an output is to lie in, as a task's own writing does."""
    path = output.path if output.local is None else output.local
    if path == STDOUT or filesystem_of(path) is not LOCAL or issubclass(output.kind, FileSet):
        return
    parent = os.path.dirname(os.path.join(directory, path))
    if parent:
        os.makedirs(parent, exist_ok=True)


def _is_there(path: str, is_file: bool) -> bool:
    filesystem = filesystem_of(path)
    return filesystem.is_file(path) if is_file else filesystem.is_dir(path)


def _look(path: str) -> Any:
    """What tells whether a local file is written again, None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _listed(directory: str) -> str:
    try:
        names = sorted(os.listdir(directory or "."))
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if not names:
        return "is empty"
    more = f" and {len(names) - _NAMES:,} more" if len(names) > _NAMES else ""
    return f"holds {', '.join(names[:_NAMES])}{more}"
