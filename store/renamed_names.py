"""Names, the history's logs and the cache of a store under the ids of another object format.

What can be made again for less than it takes to carry it over is left behind: the trash, indexes, and what was seen of
files (`stat`: its keys are hashes of paths, and paths stand nowhere; each file is read once more).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice, product
from typing import Final

from redun.core.codec import packed
from redun.core.digest import Digest, Key
from redun.core.errors import StoreDamaged
from redun.core.keys import call_key, error_key
from redun.core.objects import CallRecord
from redun.store import lost, refs, tags
from redun.store.checksums import body_of, with_checksum
from redun.store.copying import Source
from redun.store.memo import MemoRow, decode_row, encode_row
from redun.store.ports import Backend, WriteTransaction, scan_prefix
from redun.store.renaming import FORMER, Renaming
from redun.store.rewriting import names_in

_BATCH: Final = 5_000
_NUMBER_BYTES: Final = 8
#: Rows of `meta` that say which store it is.
_IDENTITY: Final = (b"id", b"objects", b"layout")
#: Objects of a call's arguments that are looked at for names of classes, and combinations of their versions tried.
_MOST_OBJECTS: Final = 2_000
_MOST_TRIES: Final = 4_096

Rows = Iterable[tuple[bytes, bytes]]


def carry_names(old: Backend, new: Backend, renaming: Renaming, source: Source) -> tuple[int, int]:
    """Writes everything but objects into the new store, whose objects are there.

    Returns how many rows of the cache were carried over, and how many could not be.

    Raises:
        StoreDamaged: if a name or its log is not as it was written.
    """
    names = _Names(old, renaming, source)
    _put(new, "refs", names.refs())
    _put(new, "reflog", names.reflog())
    _put(new, "shallow", names.shallow())
    _put(new, "lost", names.lost())
    _put(new, "meta", ((key, value) for key, value in scan_prefix(old, "meta", b"") if key not in _IDENTITY))
    _put(new, FORMER, names.former())
    cache = _Cache(old, renaming, source)
    _put(new, "memo", cache.memo())
    _put(new, "tally", cache.tally())
    _put(new, "superseded", cache.superseded())
    return cache.carried, cache.forgotten


def _put(backend: Backend, table: str, rows: Rows) -> None:
    left = iter(rows)
    while some := sorted(islice(left, _BATCH)):

        def write(txn: WriteTransaction, some: list[tuple[bytes, bytes]] = some) -> None:
            txn.put_many(table, some)

        backend.write(write)


class _Names:
    def __init__(self, old: Backend, renaming: Renaming, source: Source) -> None:
        self._old = old
        self._renaming = renaming
        self._source = source
        #: Names of refs below `tags/`, which are made of hashes.
        self._tags: dict[bytes, bytes] = {}
        self._tag_names = tags.RefNames(renaming.after)

    def _new(self, digest: bytes) -> Digest:
        return self._renaming.new_ids([digest]).get(digest) or self._renaming.gone(digest)

    def _maybe(self, digest: bytes | None) -> Digest | None:
        return None if digest is None else self._new(digest)

    # -- refs --

    def refs(self) -> Iterator[tuple[bytes, bytes]]:
        for key, row in scan_prefix(self._old, "refs", b""):
            target = refs.target_of(key, row)
            name = self._name(key, target)
            if name is not None:
                yield name, with_checksum(name, self._new(target))

    def reflog(self) -> Iterator[tuple[bytes, bytes]]:
        """The log of every ref. Ids in it that name nothing any more are replaced as they are in objects."""
        for at, row in scan_prefix(self._old, "reflog", b""):
            when, before, after, reason = refs.read_entry(at, row)
            name = self._name(refs.log_name(at), after or before)
            if name is None:
                continue
            key = name + at[-_NUMBER_BYTES - 1 :]
            entry = packed([when, self._maybe(before), self._maybe(after), reason])
            yield key, with_checksum(key, entry)

    def _name(self, key: bytes, target: bytes | None) -> bytes | None:
        """Returns the new name of a ref: words in it that are ids are renamed too, and those of tags are made anew."""
        name = key.decode()
        if name.startswith(tags.TAGS):
            return self._tag(key, target)
        size = 2 * self._renaming.before.size
        words = name.split("/")
        for place, word in enumerate(words):
            if len(word) == size and words[0] != "executions":
                with_id = _unhexed(word)
                found = self._renaming.new_ids([with_id]) if with_id else {}
                words[place] = found[with_id].hex() if found else word
        return "/".join(words).encode()

    def _tag(self, key: bytes, note: bytes | None) -> bytes | None:
        """Returns the name of a tag's ref; None of one that is gone and of which nobody knows what it was."""
        known = self._tags.get(key)
        if known is None and note is not None and self._source.present([Digest(note)]):
            new = self._renaming.new_ids([note])
            found = tags.read_note(bytes(self._source.load(Digest(note)).payload)) if new else None
            if found is not None:
                thing, tag, _ = found
                known = self._tag_names.ref(thing._replace(about=self._maybe(thing.about)), tag).encode()
                self._tags[key] = known
        return known

    # -- what is said of ids --

    def shallow(self) -> Iterator[tuple[bytes, bytes]]:
        for key, value in scan_prefix(self._old, "shallow", b""):
            found = self._renaming.new_ids([key])
            if found:
                yield found[key], value

    def lost(self) -> Iterator[tuple[bytes, bytes]]:
        for digest, loss in lost.losses(self._old):
            key = self._renaming.gone(digest)
            body = packed([loss.time, loss.kind, self._maybe(loss.parent)])
            yield key, with_checksum(key, body)

    def former(self) -> Iterator[tuple[bytes, bytes]]:
        """Ids of before an earlier conversion, which the old store knew."""
        for ancient, before in scan_prefix(self._old, FORMER, b""):
            found = self._renaming.new_ids([before])
            if found and found[before] != ancient:
                yield ancient, found[before]


class _Cache:
    def __init__(self, old: Backend, renaming: Renaming, source: Source) -> None:
        self._old = old
        self._renaming = renaming
        self._source = source
        self.carried = 0
        self.forgotten = 0

    def memo(self) -> Iterator[tuple[bytes, bytes]]:
        size = self._renaming.before.size
        for key, data in scan_prefix(self._old, "memo", b""):
            row = decode_row(Key(key), data, size)
            new_row = None if row is None else self._row(row)
            new_key = None if row is None or new_row is None else self._key(key, row)
            if new_key is None or new_row is None:
                self.forgotten += 1
            else:
                self.carried += 1
                yield new_key, encode_row(new_key, new_row)

    def _row(self, row: MemoRow) -> MemoRow | None:
        wanted = {row.reduction, *(d for call in row.calls for d in (call.call, call.head))}
        known = self._renaming.new_ids(wanted)
        if row.reduction not in known:
            return None
        calls = tuple(
            call._replace(call=known[call.call], head=known[call.head])
            for call in row.calls
            if call.call in known and call.head in known
        )
        return row._replace(reduction=known[row.reduction], calls=calls) if calls or not row.calls else None

    def _key(self, key: bytes, row: MemoRow) -> Key | None:
        """Returns the new key of a row: that of its call, with the code of the classes of its arguments where the old
        key has it. Which code that was, is told by making the old key again."""
        before, after = self._renaming.before, self._renaming.after
        call = row.calls[0].call if row.calls else self._renaming.partial.get(key)
        if call is None:
            return None
        record = CallRecord.parse(bytes(self._source.load(call).payload))
        for code in self._codes(record):
            made = call_key(before, record.task, record.args, code)
            if key not in (made, error_key(before, made)):
                continue
            known = self._renaming.new_ids([record.task, *record.args, *code])
            if any(digest not in known for digest in (record.task, *record.args, *code)):
                return None
            new = call_key(after, known[record.task], [known[a] for a in record.args], [known[c] for c in code])
            return new if key == made else error_key(after, new)
        return None

    def _codes(self, record: CallRecord) -> Iterator[tuple[Digest, ...]]:
        yield ()
        known = self._renaming.code
        versions = [(None, *sorted(known[name])) for name in sorted(self._names(record.args)) if name in known]
        for chosen in islice(product(*versions), _MOST_TRIES):
            yield tuple({code for code in chosen if code is not None})

    def _names(self, args: Iterable[Digest]) -> set[str]:
        """Returns the names of classes, functions and tasks that occur in arguments."""
        found: set[str] = set()
        seen: set[Digest] = set()
        waiting = list(args)
        while waiting and len(seen) < _MOST_OBJECTS:
            digest = waiting.pop()
            if digest in seen or not self._source.present([digest]):
                continue
            seen.add(digest)
            loaded = self._source.load(digest)
            if loaded.kind in ("value", "tree"):
                waiting += loaded.points_to
            if loaded.kind == "value":
                found |= names_in(bytes(loaded.payload))
        return found

    def tally(self) -> Iterator[tuple[bytes, bytes]]:
        for call, row in scan_prefix(self._old, "tally", b""):
            body = body_of(call, row)
            found = self._renaming.new_ids([call])
            if body is not None and found:
                yield found[call], with_checksum(found[call], body)

    def superseded(self) -> Iterator[tuple[bytes, bytes]]:
        for key, row in scan_prefix(self._old, "superseded", b""):
            body = body_of(key, row)
            if body is None:
                raise StoreDamaged("what is known of a task whose results changed is damaged")
            new = self._renaming.after.hash(body[_NUMBER_BYTES:])
            yield new, with_checksum(new, body)


def _unhexed(word: str) -> bytes:
    try:
        return bytes.fromhex(word)
    except ValueError:
        return b""
