"""What a loss of power leaves of a directory: a model of a disk, and of what may be lost on it.

The notes of a recording say what was asked of the disk, in order. Power is lost after one of them. What was asked since
the last sync may or may not have reached the disk. Two things are told apart, as file systems do:

*Bytes of files.* A sync of a file (fsync, fdatasync) makes durable what was written to this file before; a write
through an O_SYNC or O_DSYNC descriptor is durable by itself. Of the writes since then

- `in order`: all survive (the disk lost nothing, the program just stopped there);
- `reordered`: any subset survives, in any file, since the kernel writes pages back when it likes. One write is one page
  or a few; the writes of one call survive or not page by page;
- `torn`: as reordered, and a page survives in part: by sectors of 512 bytes, which disks write whole or not at all.

A file is as long as its last surviving byte or cut says; what lies before and did not survive reads as zeros.

*Names* (files and directories made, renamed, removed). With `in order` all survive. Otherwise one of two behaviours:

- `journalled`: as on ext4, XFS and Btrfs. Changes of names are ordered, over all directories, and a sync of any
  directory makes all of them durable that came before. So some beginning of them survives. (Those file systems also
  keep the name of a new file whose bytes are synced; the model does not grant it.)
- `strict`: what POSIX promises and no more. A sync of a directory makes durable the names in this directory. Each
  name in it is since then in any of its states, independently of all others: a rename may have happened at one of its
  ends only.

A directory that did not survive takes along what is in it. Files that are mapped for writing (LMDB's lock.mdb) hold any
bytes afterwards. The root of the recording is there from the start and stays.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from tests.store.powercut.recording import Note

Order = Literal["in order", "reordered", "torn"]
Names = Literal["journalled", "strict"]
ORDERS: Final[tuple[Order, ...]] = ("in order", "reordered", "torn")
NAMES: Final[tuple[Names, ...]] = ("journalled", "strict")
_PAGE: Final = 4096
_SECTOR: Final = 512
#: Chance of a write, or of a sector, to survive; one is chosen for each cut, so that extremes are common.
_CHANCES: Final = (0.0, 0.05, 0.3, 0.5, 0.7, 0.95, 1.0)


@dataclass
class _Change:
    """Bytes written at an offset, or (None) the file made as long as the offset."""

    offset: int
    data: bytes | None
    durable: bool = False


@dataclass
class _File:
    inode: int
    changes: list[_Change] = field(default_factory=list)
    mapped: bool = False

    def write(self, note: Note) -> None:
        self.changes += (_Change(at, part, note.flag) for at, part in _split(note.offset, note.data, _PAGE))

    def sync(self) -> None:
        for change in self.changes:
            change.durable = True


class _Folder:
    """A directory: nothing but that it is one. Its names are in the disk's list."""


@dataclass
class _Naming:
    """One change of names: what each of the paths leads to afterwards (None: nothing)."""

    paths: dict[str, _File | _Folder | None]
    durable: set[str] = field(default_factory=set)


class Disk:
    """A disk that has been asked for what the notes say."""

    def __init__(self, notes: Iterable[Note] = ()) -> None:
        self._files: dict[int, _File] = {}
        self._names: dict[str, _File | _Folder | None] = {}
        self._namings: list[_Naming] = []
        self.marks: list[str] = []
        for note in notes:
            self.apply(note)

    def apply(self, note: Note) -> None:
        """Asks for one thing more."""
        if note.what == "W":
            self._files[note.inode].write(note)
        elif note.what == "T":
            self._files[note.inode].changes.append(_Change(note.offset, None))
        elif note.what == "S" and not note.flag:
            self._files[note.inode].sync()
        elif note.what == "S":
            self._sync_folder(note.names()[0])
        elif note.what == "M":
            self.marks.append(note.names()[0])
        elif note.what == "?" and note.names()[0].endswith("lock.mdb"):
            self._files[note.inode].mapped = True
        else:
            self._name(note)

    def _name(self, note: Note) -> None:
        names = note.names()
        if note.what == "C":
            made = self._files[note.inode] = _File(note.inode)
            self._change_names({names[0]: made})
        elif note.what == "D":
            self._change_names({names[0]: _Folder()})
        elif note.what in "UX":
            self._change_names({names[0]: None})
        elif note.what == "R" and isinstance(self._names[names[0]], _File):
            self._change_names({names[0]: None, names[1]: self._names[names[0]]})
        elif note.what == "L":
            self._change_names({names[1]: self._names[names[0]]})
        else:
            raise NotImplementedError(f"{note.what} of {names}")

    def _change_names(self, paths: dict[str, _File | _Folder | None]) -> None:
        self._names.update(paths)
        self._namings.append(_Naming(paths))

    def _sync_folder(self, folder: str) -> None:
        for naming in self._namings:
            naming.durable.update(path for path in naming.paths if os.path.dirname(path) == folder)

    # -- after the cut --

    def write_out(self, target: Path, order: Order, names: Names, chance: random.Random) -> None:
        """Makes in `target` what is found when power is back. What survives beyond what must is up to `chance`."""
        if order == "in order":
            left = self._names
        elif names == "journalled":
            left = self._journalled(chance)
        else:
            left = self._strict(chance)
        likely = chance.choice(_CHANCES)
        # Sorted, so that directories come before what is in them.
        for path, what in sorted(left.items()):
            place = target / path
            if what is None or not place.parent.is_dir():
                continue
            if isinstance(what, _Folder):
                place.mkdir()
            elif what.mapped:
                place.write_bytes(chance.randbytes(chance.choice((0, 100, len(_content(what.changes))))))
            else:
                place.write_bytes(_content(_surviving(what.changes, order, likely, chance)))

    def _journalled(self, chance: random.Random) -> dict[str, _File | _Folder | None]:
        least = max((i + 1 for i, naming in enumerate(self._namings) if naming.durable), default=0)
        names: dict[str, _File | _Folder | None] = {}
        for naming in self._namings[: chance.randint(least, len(self._namings))]:
            names.update(naming.paths)
        return names

    def _strict(self, chance: random.Random) -> dict[str, _File | _Folder | None]:
        states: dict[str, list[_File | _Folder | None]] = {}
        for naming in self._namings:
            for path, what in naming.paths.items():
                if path in naming.durable:
                    states[path] = [what]
                else:
                    states.setdefault(path, [None]).append(what)
        return {path: chance.choice(choices) for path, choices in states.items()}

    def inode(self, path: str) -> int:
        """Returns the number of the file at a path, as it was during the recording; -1 where there is none."""
        found = self._names.get(path)
        return found.inode if isinstance(found, _File) else -1

    def content(self, path: str) -> bytes:
        """Returns the bytes of the file at a path as long as power is there."""
        found = self._names[path]
        assert isinstance(found, _File)
        return _content(found.changes)


def _split(offset: int, data: bytes, unit: int) -> Iterator[tuple[int, bytes]]:
    """Returns bytes at an offset as (offset, bytes) of the pages or sectors that they lie in."""
    start = 0
    while start < len(data):
        stop = min(len(data), start + unit - (offset + start) % unit)
        yield offset + start, data[start:stop]
        start = stop


def _surviving(changes: Sequence[_Change], order: Order, likely: float, chance: random.Random) -> Iterable[_Change]:
    for change in changes:
        if order == "in order" or change.durable:
            yield change
        elif order == "reordered" or change.data is None:
            if chance.random() < likely:
                yield change
        else:
            sectors = _split(change.offset, change.data, _SECTOR)
            yield from (_Change(at, part) for at, part in sectors if chance.random() < likely)


def _content(changes: Iterable[_Change]) -> bytes:
    content = bytearray()
    for change in changes:
        if change.data is None:
            del content[change.offset :]
            content.extend(bytes(change.offset - len(content)))
        else:
            content.extend(bytes(max(0, change.offset - len(content))))
            content[change.offset : change.offset + len(change.data)] = change.data
    return bytes(content)
