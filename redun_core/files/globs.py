"""Which local files a pattern names: `*`, `?` and `[...]` inside a part of a path, `**` for any directories, none too.

A set holds files, and what links to files. Passed over are: directories themselves, links that lead nowhere or in a
ring, links to a directory that they lie in, pipes, sockets, devices, and files of ours that are being written. A part
that begins with a dot is matched by a wildcard only where `hidden` is asked for, or where the wildcard says the dot.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable
from typing import Final

from redun.core.files.atomic import PART_END

_MAGIC: Final = frozenset("*?[")
_ANY: Final = "**"
#: What a link is like that leads in a ring, or through what is no directory.
_LEADS_NOWHERE: Final = frozenset({errno.ELOOP, errno.ENOTDIR, errno.ENOENT})
#: A part of a pattern: (the name itself, None) or (its text, what says whether a name matches).
Part = tuple[str, Callable[[str], object] | None]


def split_pattern(pattern: str) -> tuple[str, str]:
    """Returns the directory that every match lies below, and the pattern from there on."""
    parts = (pattern.rstrip("/") or "/").split("/")
    literal = 0
    while literal < len(parts) - 1 and not _MAGIC.intersection(parts[literal]):
        literal += 1
    base = "/".join(parts[:literal])
    if (not base and literal) or (base.endswith(":/") and "://" in pattern):  # the root, here or elsewhere
        base += "/"
    return base, "/".join(part for part in parts[literal:] if part not in ("", "."))


def joined(base: str, path: str) -> str:
    """Returns the path of what lies at a path below a directory."""
    return path if base == "." else base + path if base.endswith("/") else f"{base}/{path}"


def is_literal(pattern: str) -> bool:
    """Returns whether a pattern has no wildcard."""
    return not _MAGIC.intersection(pattern)


def find(base: str, pattern: str, hidden: bool) -> list[str]:
    """Returns the files below a directory that match, by their paths from there, sorted; none where there is none.

    Raises:
        OSError: if a directory cannot be read.
    """
    return sorted(_Search(pattern, hidden).below(base))


class _Search:
    """One walk. For each directory it knows the places in the pattern that the way there has come to."""

    def __init__(self, pattern: str, hidden: bool) -> None:
        self._parts = [_part(text) for text in pattern.split("/")]
        self._last = len(self._parts) - 1
        self._hidden = hidden
        self._found: list[str] = []
        #: Directories to look into: path, its prefix in what is found, places, real directories that links led from.
        self._waiting: list[tuple[str, str, frozenset[int], tuple[str, ...]]] = []

    def below(self, base: str) -> list[str]:
        self._waiting.append((base, "", self._with_skipped({0}), ()))
        while self._waiting:
            directory, prefix, places, trail = self._waiting.pop()
            names = self._literals(places)
            if names is not None:
                self._look_up(directory, names, prefix, places, trail)
                continue
            try:
                entries = os.scandir(directory)
            except (FileNotFoundError, NotADirectoryError):
                continue  # it has gone meanwhile, or never was
            with entries:
                self._scan(entries, prefix, places, trail)
        return self._found

    def _with_skipped(self, places: set[int]) -> frozenset[int]:
        """Adds the places behind `**` that stands for no directory."""
        found = set(places)
        for place in range(self._last):
            if place in found and self._parts[place][0] == _ANY:
                found.add(place + 1)
        return frozenset(found)

    def _literals(self, places: frozenset[int]) -> list[str] | None:
        """The names that can match here, where the pattern names them: then the directory need not be read."""
        if any(self._parts[place][1] is not None for place in places):
            return None
        return sorted({self._parts[place][0] for place in places})

    def _look_up(
        self, directory: str, names: list[str], prefix: str, places: frozenset[int], trail: tuple[str, ...]
    ) -> None:
        for name in names:
            self._take(_Named(name, os.path.join(directory, name)), prefix, places, trail)

    def _scan(
        self, entries: Iterable[os.DirEntry[str]], prefix: str, places: frozenset[int], trail: tuple[str, ...]
    ) -> None:
        ends = self._last in places
        text, match = self._parts[self._last]
        dotted = self._hidden or text[0] == "." or match is None
        found = self._found
        for entry in entries:
            if not entry.is_file(follow_symlinks=False):
                self._take(entry, prefix, places, trail)
            elif ends:  # what `_take` does, but written out: there may be 100,000
                name = entry.name
                if name[0] == "." and (not dotted or name.endswith(PART_END)):
                    continue
                if match(name) if match is not None else name == text:
                    found.append(prefix + name)

    def _take(
        self, entry: os.DirEntry[str] | _Named, prefix: str, places: frozenset[int], trail: tuple[str, ...]
    ) -> None:
        name = entry.name
        matched = [place for place in places if self._matches(place, name)]
        if not matched or (name[0] == "." and name.endswith(PART_END)):
            return
        try:
            is_directory = entry.is_dir()
            is_file = not is_directory and self._last in matched and entry.is_file()
        except OSError as error:
            if error.errno in _LEADS_NOWHERE:
                return
            raise
        if is_file:
            self._found.append(prefix + name)
        elif is_directory:
            deeper = {place if self._parts[place][0] == _ANY else place + 1 for place in matched}
            deeper.discard(self._last + 1)
            if entry.is_symlink() and deeper:
                followed = _followed(entry.path, trail)
                if followed is None:
                    return
                trail = followed
            if deeper:
                self._waiting.append((entry.path, f"{prefix}{name}/", self._with_skipped(deeper), trail))

    def _matches(self, place: int, name: str) -> bool:
        text, match = self._parts[place]
        if match is None:
            return text == name
        if name[0] == "." and not self._hidden and text[0] != ".":
            return False
        return bool(match(name))


class _Named:
    """A directory's entry that is asked for by its name."""

    __slots__ = ("name", "path")

    def __init__(self, name: str, path: str) -> None:
        self.name = name
        self.path = path

    def is_dir(self) -> bool:
        return stat.S_ISDIR(os.stat(self.path).st_mode)

    def is_file(self) -> bool:
        return stat.S_ISREG(os.stat(self.path).st_mode)

    def is_symlink(self) -> bool:
        return os.path.islink(self.path)


def _part(text: str) -> Part:
    if text == _ANY:
        return text, lambda name: True
    if not _MAGIC.intersection(text):
        return text, None
    import fnmatch  # most runs match nothing
    import re

    return text, re.compile(fnmatch.translate(text)).match


def _followed(link: str, trail: tuple[str, ...]) -> tuple[str, ...] | None:
    """Returns the trail behind a link to a directory; None where it leads to one that the way has come through."""
    target = os.path.realpath(link)
    trail = (*trail, os.path.realpath(os.path.dirname(link)))
    below = target.rstrip("/") + "/"
    return None if any(f"{behind}/".startswith(below) for behind in trail) else trail
