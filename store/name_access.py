"""What has a name: refs, and what is made of them, tags and pins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from redun.core.digest import Digest
from redun.core.errors import NotFound
from redun.store import refs
from redun.store.batch import RefMove
from redun.store.object_access import ObjectAccess
from redun.store.ports import WriteTransaction
from redun.store.refs import RefLogEntry

if TYPE_CHECKING:
    from redun.store.tags import Tag, Tags, Thing


class NameAccess(ObjectAccess):
    """The part of a `Store` that gives names to objects, and says what people said of things."""

    # -- refs --

    def refs(self, prefix: str = "") -> dict[str, Digest]:
        """Returns every ref whose name starts so, by name in order."""
        return refs.all_refs(self._backend, prefix)

    def ref(self, name: str) -> Digest | None:
        """Returns what a ref points to, or None if there is no such ref.

        Raises:
            StoreError: if the name cannot be that of a ref.
            StoreDamaged: if it is not known any more.
        """
        key = refs.check_name(name)
        return self._backend.read(lambda txn: refs.read(txn, key))

    def set_ref(self, name: str, new: Digest | None, *, expected: Digest | None, reason: str) -> None:
        """Moves a ref by compare-and-swap and logs the move. None is no ref: `new=None` removes it.

        Raises:
            RefMoved: if the ref is not at `expected`.
            NotFound: if `new` names no object.
            StoreError: if the name cannot be that of a ref.
        """
        self._write(lambda txn: refs.move(txn, name, new, expected=expected, reason=reason))

    def reflog(self, name: str) -> list[RefLogEntry]:
        """Returns the moves of a ref, newest first; they stay when the ref is removed."""
        return list(refs.read_log(self._backend, name))

    # -- tags and pins --

    def tags(self, thing: Thing) -> list[Tag]:
        """Returns the tags of a thing, by name: those that were given since, and those that an execution was run with
        if `thing` has them."""
        return self._tags().of(thing)

    def add_tags(
        self, thing: Thing, pairs: Iterable[tuple[str, str]], *, author: str = "", replace: bool = False
    ) -> list[Tag]:
        """Gives a thing tags, all or none; returns those that it did not have.

        A tag keeps nothing: it is there as long as what it is about.

        Args:
            thing: made by `redun.store.tags.of_execution`, `of_job`, `of_task` or `of_object`.
            pairs: names and values. A name may have several values.
            replace: whether other values of these names go.

        Raises:
            StoreError: if one can be no tag.
            NotFound: if the object is not there.
            StoreReadOnly: if the store was opened for reading.
        """
        self._check_writable()
        return self._tags().add(thing, pairs, author, only=replace)

    def tag_all(self, wanted: Iterable[tuple[Thing, Iterable[tuple[str, str]]]], *, author: str = "") -> None:
        """Gives many things tags, in one transaction. Objects that are not there are left out.

        Raises:
            StoreError: if one can be no tag.
            StoreReadOnly: if the store was opened for reading.
        """
        self._check_writable()
        self._tags().add_all(list(wanted), author)

    def remove_tags(self, thing: Thing, name: str, value: str | None = None, *, author: str = "") -> list[Tag]:
        """Takes from a thing the tags of a name, or the one of that name and value; returns them.

        Raises:
            StoreReadOnly: if the store was opened for reading.
        """
        self._check_writable()
        return self._tags().remove(thing, name, value, author)

    def tagged(self, name: str | None = None, value: str | None = None) -> Iterator[tuple[Thing, Tag]]:
        """Returns what was given a tag: any, one of that name, or exactly that. Tags that executions were run with are
        in their records and not among these."""
        return self._tags().find(name, value)

    def tags_of_executions(self) -> dict[bytes, dict[tuple[str, str], bool]]:
        """Returns by uuid, for executions whose tags were changed, each (name, value) and whether it was given, not
        taken; see `redun.store.tags.effective`."""
        if not self.refs("tags/exec/"):  # as in most stores, and every list of executions asks
            return {}
        return self._tags().of_executions()

    def _tags(self) -> Tags:
        # Late: most reading and writing meets no tags.
        from redun.store.tags import Tags

        return Tags(self._backend, self.format, self.get_many, self.has, self._put_notes)

    def _put_notes(self, objects: Mapping[Digest, tuple[str, bytes]], moves: Sequence[RefMove]) -> None:
        rows = self._objects.prepare(objects)

        def write(txn: WriteTransaction) -> None:
            self._objects.add(txn, rows)
            for move in moves:
                refs.move(txn, *move[:2], expected=move.expected, reason=move.reason)

        self._write(write)

    def pins(self) -> dict[str, Digest]:
        """Returns what is pinned, by name. It stays whatever the rules of `plan_pruning` say."""
        return {name.removeprefix(refs.PINS): digest for name, digest in self.refs(refs.PINS).items()}

    def pin(self, digest: Digest, name: str, *, reason: str = "pin") -> None:
        """Keeps an object and all that it leads to, under a name.

        Raises:
            RefMoved: if something else is pinned under that name.
            NotFound: if it is not there.
            StoreError: if nothing can be called so.
        """
        at = self.ref(refs.PINS + name)
        if at != digest:
            self.set_ref(refs.PINS + name, digest, expected=None, reason=reason)

    def unpin(self, name: str, *, reason: str = "unpin") -> None:
        """Lets go of what is pinned under a name.

        Raises:
            NotFound: if nothing is.
        """
        at = self.ref(refs.PINS + name)
        if at is None:
            raise NotFound(f"nothing is pinned as {name!r}")
        self.set_ref(refs.PINS + name, None, expected=at, reason=reason)
