"""Runs programs on a disk that takes notes (`recorder.c`), and reads the notes."""

from __future__ import annotations

import ctypes
import os
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Final, NamedTuple

import pytest

SOURCE: Final = Path(__file__).with_name("recorder.c")
_ROOT: Final = Path(__file__).parents[3]
_HEADER: Final = struct.Struct("=cB6xQQQ")


class Note(NamedTuple):
    """One thing that happened on the disk; `recorder.c` has the letters of `what`."""

    what: str
    flag: bool
    inode: int
    offset: int
    data: bytes

    def names(self) -> list[str]:
        """Returns the paths that it is about, below the root."""
        return [os.fsdecode(name) for name in self.data.split(b"\0")]


class Recorder:
    """A built recorder, for the programs that write below one directory.

    Args:
        folder: where the library and the notes are kept; not below `root`.
        root: the directory that is watched; it is empty when the first program starts.
    """

    def __init__(self, folder: Path, root: Path) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None or os.uname().sysname != "Linux":
            pytest.skip("needs Linux and a C compiler")
        root.mkdir(exist_ok=True)
        self.root = root.resolve()
        self.log = folder / "notes"
        self.library = folder / "recorder.so"
        flags = ["-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
        subprocess.run([compiler, *flags, "-o", str(self.library), str(SOURCE), "-lpthread"], check=True)

    def environment(self, fault: str = "") -> dict[str, str]:
        """Returns the environment of a program that is to be watched, with a fault if there is to be one."""
        watched = {"LD_PRELOAD": self.library, "DISK_ROOT": self.root, "DISK_LOG": self.log, "DISK_FAULT": fault}
        found = {name: str(value) for name, value in watched.items()}
        return {**os.environ, "PYTHONPATH": str(_ROOT), "PYTHONDONTWRITEBYTECODE": "1", **found}

    def mark(self, text: str) -> None:
        """Writes a note between two programs."""
        self._note(b"M", False, text)

    def make_directory(self, name: str) -> Path:
        """Makes a directory in the root, one that was there long before the programs start; returns its path."""
        (self.root / name).mkdir()
        self._note(b"D", False, name)
        self._note(b"S", True, "")
        return self.root / name

    def _note(self, what: bytes, flag: bool, text: str) -> None:
        with open(self.log, "ab") as log:
            log.write(_HEADER.pack(what, flag, 0, 0, len(text.encode())) + text.encode())

    def notes(self) -> list[Note]:
        """Returns all notes so far."""
        data, at, found = self.log.read_bytes() if self.log.exists() else b"", 0, []
        while at < len(data):
            what, flag, inode, offset, size = _HEADER.unpack_from(data, at)
            at += _HEADER.size
            found.append(Note(what.decode(), bool(flag), inode, offset, data[at : at + size]))
            at += size
        return found

    def faults(self) -> list[str]:
        """Returns the paths of the calls that were made to fail so far."""
        return [note.names()[0] for note in self.notes() if note.what == "F"]


# -- within a program that runs with the recorder ---------------------------------------------------------------------


def mark(text: str) -> None:
    """Writes a note of the program's own."""
    ctypes.CDLL(None).disk_mark(text.encode())


def set_fault(spec: str) -> None:
    """Makes a call fail from here on (`recorder.c` has the form), or none."""
    ctypes.CDLL(None).disk_fault(spec.encode())


def failed() -> str:
    """Returns the path of the last call that was made to fail since `set_fault`, "" if there was none."""
    function = ctypes.CDLL(None).disk_failed
    function.restype = ctypes.c_char_p
    return os.fsdecode(function())
