"""External values as one run sees them: read once, many files at a time, and looked at once a generation.

A generation ends when a body has finished, which may have changed anything. A value that stands for one file is not
made to know whether it holds: a footprint may have 100,000 of them, and its bytes say all that is to be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

from redun.core import codes
from redun.core.codec import ExtType, unpack
from redun.core.decoding import Decoder
from redun.core.digest import Digest
from redun.core.errors import MalformedObject, TaskError
from redun.core.values import External

Fetch = Callable[[Digest], tuple[str, Any]]
FetchMany = Callable[[Sequence[Digest]], list[tuple[str, Any] | None]]
_FILE: Final = codes.FILE


class _OneFile(NamedTuple):
    """A file as it is written: how its class and what it is compared by are said, its path, its state."""

    kind: str
    path: str
    state: bytes | None


class Outside:
    """Reads external values and knows which of them hold."""

    def __init__(self, fetch: Fetch, fetch_many: FetchMany) -> None:
        self._fetch = fetch
        self._fetch_many = fetch_many
        self._files: dict[Digest, _OneFile] = {}
        self._made: dict[Digest, External] = {}
        #: Generation in which each was looked at, and whether it held.
        self._verdicts: dict[Digest, tuple[int, bool]] = {}

    def load(self, values: Iterable[Digest], generation: int) -> None:
        """Reads those that are not known, and looks at the files among them."""
        fresh = [value for value in values if value not in self._files and value not in self._made]
        if not fresh:
            return
        files, decoder = self._files, Decoder(self._fetch)
        groups: dict[tuple[str, str], list[Digest]] = {}
        for digest, item in zip(fresh, self._fetch_many(fresh), strict=True):
            if item is None:
                continue
            file = _one_file(item[1])
            if file is None:
                self._made[digest] = decoder.decode(item[1])
            else:
                files[digest] = file
                path = file.path
                scheme = path[: path.find("://")] if "://" in path else ""
                groups.setdefault((scheme, file.kind), []).append(digest)
        for (_, kind), digests in groups.items():
            with suppress(OSError, TaskError, MalformedObject):  # then each is looked at by itself
                self._look(kind, digests, generation)

    def _look(self, kind: str, digests: list[Digest], generation: int) -> None:
        """Looks at files of one filesystem that are compared by the same; those that it leaves out are not known.

        Raises:
            OSError, TaskError: if one cannot be looked at.
            MalformedObject: if none are of that kind.
        """
        # Here and not at the top: a run without files does without.
        from redun.core.files.file import FILE_KINDS
        from redun.core.files.filesystems import filesystem_of
        from redun.core.files.kinds import kind_of

        by = kind_of(kind, FILE_KINDS)[1]
        files = [self._files[digest] for digest in digests]
        if by == "path":
            self._verdicts.update(dict.fromkeys(digests, (generation, True)))
            return
        expected = [file.state for file in files]
        found = filesystem_of(files[0].path).states([file.path for file in files], by, expected)
        holds, fails = (generation, True), (generation, False)
        verdicts = self._verdicts
        for digest, state, was in zip(digests, found, expected, strict=True):
            if state != b"":  # else it was not read, because another one is known to differ
                verdicts[digest] = holds if state == was else fails

    def get(self, digest: Digest) -> External:
        """Returns an external value.

        Raises:
            NotFound, CodecError: if it is missing or cannot be decoded.
        """
        found = self._made.get(digest)
        if found is None:
            found = self._made[digest] = Decoder(self._fetch).decode(self._fetch(digest)[1])
        return found

    def known(self, digest: Digest) -> External | None:
        """Returns an external value that was read; None for others."""
        return self.get(digest) if digest in self._files else self._made.get(digest)

    def special(self, digest: Digest) -> External | None:
        """Returns an external value that was read and is no single file; None for others."""
        return self._made.get(digest) if digest not in self._files else None

    def verdict(self, digest: Digest, generation: int) -> bool | None:
        """Returns whether one that was looked at in this generation held; None for others."""
        known = self._verdicts.get(digest)
        return known[1] if known is not None and known[0] == generation else None

    def keep(self, digest: Digest, generation: int, holds: bool) -> bool:
        """Keeps what was found, and returns it."""
        self._verdicts[digest] = (generation, holds)
        return holds


def _one_file(payload: Any) -> _OneFile | None:
    item = unpack(payload)
    if type(item) is not ExtType or item.code != _FILE:
        return None
    kind, path, state = unpack(item.data)[:3]
    return _OneFile(kind, path, state)
