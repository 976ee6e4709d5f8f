"""Tags: what people say of things after they were recorded, each a note under a ref.

A ref for each tag, `tags/<kind>/<thing>/<name>-<tag>`, with hashes for the last two: all tags of a thing stand
together, a name is found without reading notes, and who tags a thing never waits for who gives it another tag. A tag
keeps nothing: it is there as long as what it is about, `redun.store.gc` sees to it.

Executions have tags of their own, given when they were run. Those stand in the record, which never changes; that one
was taken away is a note, too.
"""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from redun.core import limits
from redun.core.digest import Digest, ObjectFormat
from redun.core.errors import NotFound, RefMoved, StoreError
from redun.core.frame import object_id
from redun.core.objects import NoteRecord
from redun.core.tags import check_tag
from redun.store.batch import RefMove
from redun.store.ports import Backend
from redun.store.refs import all_refs

TAGS: Final = "tags/"
_GIVEN: Final = "tag"
_TAKEN: Final = "tag-taken"

Kind = Literal["exec", "job", "task", "object"]
KINDS: Final = ("exec", "job", "task", "object")
GetMany = Callable[[Sequence[Digest]], list[tuple[str, bytes] | None]]


class Tag(NamedTuple):
    """A tag of a thing: who gave it, and when (microseconds since the epoch)."""

    name: str
    value: str
    author: str = ""
    time: int = 0

    @property
    def pair(self) -> tuple[str, str]:
        """Name and value."""
        return self.name, self.value


class Thing(NamedTuple):
    """What can be tagged. Made by `of_execution`, `of_job`, `of_task` and `of_object`.

    Attributes:
        kind: `exec`, `job`, `task` (by its name: all its versions) or `object`.
        name: the uuid of an execution in hexadecimal; that, a space, and the row number of a job; the full name of a
            task; nothing for an object.
        about: the id of an object.
        given: tags that an execution was run with.
    """

    kind: Kind
    name: str = ""
    about: Digest | None = None
    given: tuple[Tag, ...] = ()


def of_execution(uuid: bytes, given: Iterable[tuple[str, str]] = (), *, author: str = "", when: int = 0) -> Thing:
    """Returns an execution, with the tags that it was run with."""
    return Thing("exec", uuid.hex(), given=tuple([Tag(name, value, author, when) for name, value in given]))


def of_job(uuid: bytes, number: int) -> Thing:
    """Returns a job, by its execution and its row number there."""
    return Thing("job", f"{uuid.hex()} {number}")


def of_task(fullname: str) -> Thing:
    """Returns a task by its full name: whatever its code is."""
    return Thing("task", fullname)


def of_object(digest: Digest) -> Thing:
    """Returns an object: a call, a value, one version of a task, ..."""
    return Thing("object", about=digest)


class RefNames:
    """The names of the refs of tags, which have hashes of an object format in them."""

    def __init__(self, fmt: ObjectFormat) -> None:
        self._format = fmt

    def prefix(self, thing: Thing) -> str:
        """Returns how the refs of all tags of a thing begin."""
        if thing.about is not None:
            place = thing.about.hex()
        elif thing.kind == "task":
            place = self._hash(thing.name)
        else:
            place = thing.name.replace(" ", "/")
        return f"{TAGS}{thing.kind}/{place}/"

    def ref(self, thing: Thing, tag: Tag) -> str:
        """Returns the name of the ref of a tag."""
        return f"{self.prefix(thing)}{self.hashed(tag.name)}{self._hash(tag.name, tag.value)[:16]}"

    def hashed(self, name: str) -> str:
        """Returns how the last word of the ref of a tag of that name begins."""
        return self._hash(name)[:8] + "-"

    def _hash(self, *texts: str) -> str:
        return self._format.hash("\0".join(texts).encode()).hex()


class Tags:
    """The tags of a store.

    Args:
        get_many, has: as of `Store`.
        put: writes objects and moves refs in one transaction.
    """

    def __init__(
        self,
        backend: Backend,
        fmt: ObjectFormat,
        get_many: GetMany,
        has: Callable[[Digest], bool],
        put: Callable[[Mapping[Digest, tuple[str, bytes]], Sequence[RefMove]], None],
    ) -> None:
        self._backend = backend
        self._format = fmt
        self._names = RefNames(fmt)
        self._get_many = get_many
        self._has = has
        self._put = put

    # -- reading ------------------------------------------------------------------------------------------------------

    def of(self, thing: Thing) -> list[Tag]:
        """Returns the tags of a thing by name, those that an execution was run with among them."""
        notes = {tag.pair: (tag, is_given) for _, tag, is_given in self._notes(self._names.prefix(thing))}
        found = [tag for tag in thing.given if tag.pair not in notes]
        return sorted([*found, *(tag for tag, is_given in notes.values() if is_given)])

    def of_executions(self) -> dict[bytes, dict[tuple[str, str], bool]]:
        """Returns of each execution that has any note of a tag: (name, value), and whether it was given or taken."""
        found: dict[bytes, dict[tuple[str, str], bool]] = {}
        for thing, tag, is_given in self._notes(f"{TAGS}exec/"):
            found.setdefault(bytes.fromhex(thing.name), {})[tag.pair] = is_given
        return found

    def find(self, name: str | None = None, value: str | None = None) -> Iterator[tuple[Thing, Tag]]:
        """Returns what was tagged, and how: with any tag, with one of that name, or with exactly that. What executions
        were run with is not among it."""
        hashed = None if name is None else self._names.hashed(name)
        for kind in KINDS:
            for thing, tag, is_given in self._notes(f"{TAGS}{kind}/", hashed):
                if is_given and name in (None, tag.name) and value in (None, tag.value):
                    yield thing, tag

    def _notes(self, prefix: str, hashed: str | None = None) -> Iterator[tuple[Thing, Tag, bool]]:
        refs = all_refs(self._backend, prefix)
        notes = [note for name, note in refs.items() if hashed is None or name.rpartition("/")[2].startswith(hashed)]
        for start in range(0, len(notes), limits.SCAN_KEYS):
            for found in self._get_many(notes[start : start + limits.SCAN_KEYS]):
                read = read_note(found[1]) if found is not None and found[0] == "note" else None
                if read is not None:  # or it is gone since, or something of another tool
                    yield read

    # -- writing ------------------------------------------------------------------------------------------------------

    def add(self, thing: Thing, pairs: Iterable[tuple[str, str]], author: str, *, only: bool = False) -> list[Tag]:
        """Gives a thing tags, in one transaction; returns those that it did not have.

        Args:
            only: whether to take from it the tags of the same names that have other values.

        Raises:
            StoreError: if one can be no tag.
            NotFound: if the object is not there.
        """
        wanted = _checked(pairs)
        names = {name for name, _ in wanted}

        def change(has: dict[tuple[str, str], Tag]) -> tuple[list[tuple[str, str]], list[Tag]]:
            taken = [tag for tag in has.values() if only and tag.name in names and tag.pair not in wanted]
            return [pair for pair in wanted if pair not in has], taken

        return self._change(thing, change, author)[0]

    def add_all(self, wanted: Sequence[tuple[Thing, Iterable[tuple[str, str]]]], author: str) -> None:
        """Gives many things tags, in one transaction; objects that are not there are left out.

        Raises:
            StoreError: if one can be no tag.
        """
        pairs = {thing: _checked(found) for thing, found in wanted}
        while True:
            now = time.time_ns() // 1000
            objects: dict[Digest, tuple[str, bytes]] = {}
            moves: list[RefMove] = []
            for thing, tags in pairs.items():
                if thing.about is not None and not self._has(thing.about):
                    continue
                refs = all_refs(self._backend, self._names.prefix(thing))
                has = {tag.pair for tag in self.of(thing)} if refs else ()
                added = [Tag(*pair, author, now) for pair in tags if pair not in has]
                moves += [self._move(objects, refs, thing, tag, _GIVEN) for tag in added]
            try:
                if moves:
                    self._put(objects, moves)
                return
            except RefMoved:
                continue  # somebody else changed these very tags: look again

    def remove(self, thing: Thing, name: str, value: str | None, author: str) -> list[Tag]:
        """Takes from a thing the tags of that name, or the one of that value; returns them."""

        def change(has: dict[tuple[str, str], Tag]) -> tuple[list[tuple[str, str]], list[Tag]]:
            return [], [tag for tag in has.values() if tag.name == name and value in (None, tag.value)]

        return self._change(thing, change, author)[1]

    def _change(
        self,
        thing: Thing,
        change: Callable[[dict[tuple[str, str], Tag]], tuple[list[tuple[str, str]], list[Tag]]],
        author: str,
    ) -> tuple[list[Tag], list[Tag]]:
        while True:
            if thing.about is not None and not self._has(thing.about):
                raise NotFound(f"no object {thing.about.hex()} in this store")
            refs = all_refs(self._backend, self._names.prefix(thing))
            pairs, taken = change({tag.pair: tag for tag in self.of(thing)})
            added = [Tag(name, value, author, time.time_ns() // 1000) for name, value in pairs]
            objects: dict[Digest, tuple[str, bytes]] = {}
            moves = [self._move(objects, refs, thing, tag, _GIVEN) for tag in added]
            own = {tag.pair for tag in thing.given}
            for tag in taken:
                topic = _TAKEN if tag.pair in own else None
                moved = tag._replace(author=author, time=time.time_ns() // 1000)
                moves.append(self._move(objects, refs, thing, moved, topic))
            if not moves:
                return [], []
            try:
                self._put(objects, moves)
            except RefMoved:
                continue  # somebody else changed these very tags: look again
            return added, taken

    def _move(
        self,
        objects: dict[Digest, tuple[str, bytes]],
        refs: dict[str, Digest],
        thing: Thing,
        tag: Tag,
        topic: str | None,
    ) -> RefMove:
        name = self._names.ref(thing, tag)
        note: Digest | None = None
        if topic is not None:
            payload = NoteRecord(topic, thing.about, _subject(thing), (tag.pair,), tag.time, tag.author).payload()
            note = object_id(self._format, "note", payload)
            objects[note] = ("note", payload)
        reason = f"{'untag' if topic != _GIVEN else 'tag'} {tag.name}"
        return RefMove(name, note, refs.get(name), reason)


def _checked(pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], None]:
    wanted = dict.fromkeys(pairs)
    for name, value in wanted:
        try:
            check_tag(name, value)
        except ValueError as error:
            raise StoreError(f"{name!r} can be no tag: {error}") from None
    return wanted


def read_note(payload: bytes) -> tuple[Thing, Tag, bool] | None:
    """Returns what a note says: of what, which tag, and whether it was given; None where it is of another tool."""
    note = NoteRecord.parse(bytes(payload))
    thing = thing_of(note)
    if thing is None or len(note.data) != 1:
        return None
    name, value = note.data[0]
    return thing, Tag(name, value, note.author, note.time), note.topic == _GIVEN


def _subject(thing: Thing) -> str:
    return "" if thing.kind == "object" else f"{thing.kind} {thing.name}"


def thing_of(note: NoteRecord) -> Thing | None:
    """Returns what a note of a tag is about; None for a note of something else."""
    if note.topic not in (_GIVEN, _TAKEN):
        return None
    if note.about is not None:
        return of_object(note.about)
    kind, _, name = note.subject.partition(" ")
    uuid, _, number = name.partition(" ")
    try:
        if kind == "exec":
            return of_execution(bytes.fromhex(uuid))
        if kind == "job":
            return of_job(bytes.fromhex(uuid), int(number))
    except ValueError:
        return None
    return of_task(name) if kind == "task" else None


def effective(
    given: Sequence[tuple[str, str]], noted: dict[tuple[str, str], bool] | None
) -> tuple[tuple[str, str], ...]:
    """Returns the tags of an execution: those it was run with, and what was given and taken since."""
    if not noted:
        return tuple(given)
    own = [pair for pair in given if noted.get(pair, True)]
    return tuple(sorted({*own, *(pair for pair, is_given in noted.items() if is_given)}))
