"""The objects of a store: bytes, records and values, put and read by id."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

from redun.core import limits
from redun.core.digest import OBJECT_FORMATS, Digest, ObjectFormat
from redun.core.errors import DigestCollision, NotFound, StoreError, StoreReadOnly
from redun.core.frame import check_kind, object_id
from redun.core.kinds import check_others
from redun.core.objects import parse, pointers
from redun.store import lost, walk
from redun.store.batch import Batch
from redun.store.blobs import BlobArea
from redun.store.gc import trash
from redun.store.objects import Collided, Objects, Rows, check_ids, kind_of, not_found, scan
from redun.store.ports import Backend, ReadTransaction, T, WriteTransaction


class ObjectAccess:
    """What a store does with objects. See `Store`."""

    def __init__(
        self, fmt: ObjectFormat, backend: Backend, blobs: BlobArea, *, path: Path | None, read_only: bool
    ) -> None:
        self.format: Final = fmt
        self.path: Final = path
        self.read_only: Final = read_only
        self._backend = backend
        self._blobs = blobs
        self._objects = Objects(fmt, blobs)
        self._closing = threading.Event()

    @property
    def compression(self) -> str:
        """How what is put through this store is compressed: `zstd`, where that saves something, or `none`."""
        return "zstd" if self._objects.compresses else "none"

    def put(self, kind: str, payload: bytes) -> Digest:
        """Puts an object; returns its id. See `put_many`."""
        return self.put_many([(kind, payload)])[0]

    def put_many(self, items: Iterable[tuple[str, bytes]]) -> list[Digest]:
        """Puts objects in one transaction; returns their ids. What exists is compared and left alone.

        Bytes are a `blob`, your own records a kind that `register_kind` takes; Python values are put by `put_value`,
        which knows their payload. Payloads of the format's own kinds are taken as they are.

        Raises:
            MalformedObject: if there can be no such kind, or a payload of a kind of your own is not canonical msgpack,
                or its parser does not take it.
            DigestCollision: if an id exists with other bytes; nothing was written.
            StoreFull, StoreReadOnly: nothing was written.
        """
        items = list(items)
        check_others(items)
        digests = [object_id(self.format, kind, payload) for kind, payload in items]
        objects = dict(zip(digests, items, strict=True))
        if len(objects) < len(items):
            for digest, item in zip(digests, items, strict=True):
                if objects[digest] != item:
                    raise self.collision(digest, item, objects[digest])
        self._put(objects)
        return digests

    def get(self, digest: Digest) -> tuple[str, bytes]:
        """Returns (kind, payload) of an object.

        Raises:
            NotFound: if there is none of that id.
            StoreDamaged: if its bytes do not fit the id.
            TypeError: if the id is no bytes; so do all that take ids.
        """
        try:
            env = self._backend.read(lambda txn: txn.get("objects", digest))
        except TypeError:
            check_ids([digest])
            raise
        if env is None:
            thrown = self._from_trash([digest])
            if not thrown:
                raise self._not_found(digest)
            env = thrown[0][1]
        kind, payload = self._objects.open(digest, env)
        return kind, payload if isinstance(payload, bytes) else self._in_memory(payload)

    def get_many(self, digests: Sequence[Digest]) -> list[tuple[str, bytes] | None]:
        """Returns (kind, payload) of each object, in the order asked, None where there is none.

        Raises:
            StoreDamaged: if the bytes of one do not fit its id.
            StoreError: if one is larger than `limits.OBJECT_BYTES`, which only `open_blob` gives.
        """
        found = self._fetch(digests)
        for place, item in enumerate(found):
            if item is not None and isinstance(item[1], memoryview):
                found[place] = item[0], self._in_memory(item[1])
        return cast("list[tuple[str, bytes] | None]", found)

    @staticmethod
    def _in_memory(payload: memoryview) -> bytes:
        if len(payload) > limits.OBJECT_BYTES:
            raise StoreError(
                f"an object of {len(payload)} bytes is not read as a whole", hint="Store.open_blob maps it"
            )
        return bytes(payload)

    def _fetch(self, digests: Sequence[Digest]) -> list[tuple[str, bytes | memoryview] | None]:
        try:
            rows = self._backend.read(lambda txn: txn.get_many("objects", sorted(digests)))
        except TypeError:
            check_ids(digests)
            raise
        found = self._objects.open_all(rows)
        if len(found) < len(digests):
            found |= self._objects.open_all(self._from_trash([digest for digest in digests if digest not in found]))
        return list(map(found.get, digests))

    def _from_trash(self, digests: Sequence[bytes]) -> Rows:
        """Returns the rows of objects that were swept and have not expired. Who may write puts them back."""
        rows = self._backend.read(lambda txn: trash.find(txn, digests))
        if rows and not self.read_only:
            self._write(lambda txn: trash.restore(txn, [digest for digest, _ in rows]))
        return rows

    def _not_found(self, digest: Digest) -> NotFound:
        path = str(self.path or "")
        error = not_found(digest, path)
        loss = self._backend.read(lambda txn: lost.among(txn, [digest])).get(digest)
        if loss is None:
            return error
        hint = (
            "it cannot be made again" if loss.kind in lost.WRITTEN_ONCE else "the next run that needs it makes it again"
        )
        return NotFound(f"{loss.kind} {digest.hex()} was damaged, and is lost since a repair", path=path, hint=hint)

    def has(self, digest: Digest) -> bool:
        """Returns whether there is an object of that id."""
        some = [digest]
        try:
            return bool(self._backend.read(lambda txn: txn.present("objects", some) or txn.present("trash", some)))
        except TypeError:
            check_ids(some)
            raise

    def absent(self, digests: Sequence[Digest]) -> list[Digest]:
        """Returns those of the ids that name no object, in the order asked."""
        some = sorted(set(digests))
        there = set(self._backend.read(lambda txn: [*txn.present("objects", some), *txn.present("trash", some)]))
        return [digest for digest in digests if digest not in there]

    def is_lost(self, digest: Digest) -> bool:
        """Returns whether an object is not there, and known not to be: a repair has found it damaged or missing."""
        return not self.has(digest) and bool(self._backend.read(lambda txn: lost.among(txn, [digest])))

    def resolve(self, prefix_hex: str, limit: int = 20) -> list[tuple[str, Digest]]:
        """Returns (kind, id) of the objects whose id in hexadecimal starts so: at most `limit`, in the order of ids. If
        there is none, of those that had such an id before the store was converted to another object format."""
        prefix = prefix_hex.lower()
        try:
            start = bytes.fromhex(prefix + "0" * (len(prefix) % 2))
        except ValueError:
            return []

        def scan(txn: ReadTransaction) -> list[tuple[bytes, bytes]]:
            keys = txn.scan_keys("objects", start, limit)
            found = txn.get_many("objects", [key for key in keys if key.hex().startswith(prefix)])
            if found:
                return found
            former = [new for old, new in txn.scan("former", start, limit) if old.hex().startswith(prefix)]
            return txn.get_many("objects", sorted(set(former)))

        return [(kind_of(env), Digest(key)) for key, env in self._backend.read(scan)]

    def former_formats(self) -> list[ObjectFormat]:
        """Returns the object formats that the store had before it was converted."""
        if not self._backend.read(lambda txn: txn.count("former")):
            return []
        return [fmt for fmt in OBJECT_FORMATS.values() if fmt is not self.format]

    def put_blob(self, parts: Iterable[bytes | memoryview], size: int) -> Digest:
        """Puts a `blob` of `size` bytes that arrive in parts, never holding all of them in memory; returns its id.

        Raises:
            ValueError: if the parts do not add up to `size`.
            DigestCollision, StoreFull, StoreReadOnly: as `put_many`.
        """
        self._check_writable()
        if size <= limits.INLINE_BYTES:
            return self.put("blob", self._joined(parts, size))
        digest, rows = self._objects.put_stream("blob", parts, size)
        self._write(lambda txn: self._objects.add(txn, rows))
        return digest

    def stage_blob(self, parts: Iterable[bytes | memoryview], size: int, batch: Batch) -> Digest:
        """Adds to a batch what `put_blob` puts; a large one is written to its file at once.

        Raises:
            ValueError, DigestCollision, StoreFull, StoreReadOnly: as `put_blob`.
        """
        self._check_writable()
        if size <= limits.INLINE_BYTES:
            payload = self._joined(parts, size)
            digest = object_id(self.format, "blob", payload)
            self.gather(batch, [digest], [("blob", payload)])
            return digest
        digest, _ = self._objects.put_stream("blob", parts, size)
        batch.blobs[digest] = size
        return digest

    @staticmethod
    def _joined(parts: Iterable[bytes | memoryview], size: int) -> bytes:
        data = b"".join(parts)
        if len(data) != size:
            raise ValueError(f"{len(data)} bytes arrived where {size} were announced")
        return data

    def write_blob(self, digest: Digest, data: bytes | memoryview) -> None:
        """Writes the payload of a blob, whose id the caller has computed, to a file. It becomes an object with the
        `Batch` that names it; until then `written_blob` reads it.

        Raises:
            DigestCollision, StoreFull, StoreReadOnly: as `put_many`.
        """
        self._check_writable()
        self._objects.write_file(digest, "blob", data)

    def confirm_blob(self, digest: Digest) -> None:
        """Takes over the payload of a blob that another process wrote as `write_blob` does.

        Raises:
            NotFound: if there is none.
        """
        self.written_blob(digest)
        self._blobs.confirm(digest)

    def written_blob(self, digest: Digest) -> memoryview:
        """Returns the payload that `write_blob` wrote.

        Raises:
            NotFound: if it wrote none.
        """
        found = self._objects.written(digest)
        if found is None:
            raise NotFound(f"no blob {digest.hex()} was written")
        return found

    def open_blob(self, digest: Digest) -> memoryview:
        """Returns the payload of an object of any kind, without a copy where it lies in a file of its own.

        Raises:
            NotFound, StoreDamaged: as `get`.
        """
        return memoryview(self.open_object(digest)[1])

    def open_object(self, digest: Digest) -> tuple[str, bytes | memoryview]:
        """Returns (kind, payload) of an object; the payload is a view of its file where it lies in one.

        Raises:
            NotFound, StoreDamaged: as `get`.
        """
        found = self._fetch([digest])[0]
        if found is None:
            raise self._not_found(digest)
        return found

    def walk(self, roots: Iterable[Digest]) -> Iterator[tuple[Digest, str, bytes | memoryview]]:
        """Returns (id, kind, payload) of everything that can be reached from the roots, each once.

        A payload in a file of its own is a view of it, so that a walk over large blobs reads none of them.

        Raises:
            NotFound: if something is pointed to and missing.
            StoreDamaged: as `get`.
        """
        return walk.walk(self._fetch, roots)

    def references(self, digest: Digest) -> list[Digest]:
        """Returns the ids that an object points to, in the order of its bytes, repeated ones too. A blob has none.

        Raises:
            NotFound, StoreDamaged: as `get`.
            MalformedObject: if the payload is not msgpack.
        """
        return pointers(*self.open_object(digest))

    def objects(self, kind: str | None = None) -> Iterator[tuple[Digest, str]]:
        """Returns (id, kind) of every object, or of those of one kind, in the order of ids.

        It reads pages of ids, each in a transaction of its own, so it may take its time; an object that is put
        meanwhile may appear or not. A million take a few seconds, whatever their size: payloads are not read.

        Raises:
            MalformedObject: if there can be no such kind.
            StoreDamaged: if the bytes of an object name no kind.
        """
        if kind is not None:
            check_kind(kind)
        return scan(self._backend, kind)

    # -- what objects mean --

    def get_record(self, digest: Digest) -> Any:
        """Returns the record that an object holds: a class of `redun.core.objects`, or what the parser makes of it that
        `register_kind` was given.

        Raises:
            NotFound, StoreDamaged: as `get`.
            MalformedObject: if it is no record: a `value`, a `blob`, or of a kind that nobody has registered.
        """
        return parse(*self.get(digest))

    def put_value(self, obj: Any) -> Digest:
        """Puts a Python value in one transaction; returns its id, which is the same for equal values everywhere.

        Plain data, containers, dataclasses, enums, exceptions, numpy arrays and more have an encoding; others get one
        by `register_adapter`. Large parts become objects of their own, which equal values share.

        Raises:
            CannotEncode: if something inside has no deterministic encoding; `path` says where.
            ValueTooDeep: if it is nested deeper than 500 containers, or contains itself.
            DigestCollision, StoreFull, StoreReadOnly: as `put_many`.
        """
        # Late: reading and writing objects needs no codec of values.
        from redun.store import values

        batch = Batch()
        digest = values.encode(obj, self.format, batch, self.write_blob, self.collision)
        self._put(batch.objects, batch.blobs)
        return digest

    def get_value(self, digest: Digest) -> Any:
        """Returns a Python value; a new one each time, large arrays as views of their files.

        Nothing that the bytes name is imported: the classes in it must be imported already, and adapters registered.

        Raises:
            NotFound, StoreDamaged: as `get`.
            CannotDecode: if it is no `value`, or a class or adapter in it is not available.
            MalformedObject: if the payload is no value.
        """
        from redun.store import values

        return values.decode(digest, self.open_object)

    def gather(self, batch: Batch, digests: Iterable[Digest], items: Iterable[tuple[str, bytes]]) -> None:
        """Adds objects to a batch.

        Raises:
            DigestCollision: if it has another object of the id of one.
        """
        for digest, item in zip(digests, items, strict=True):
            known = batch.objects.setdefault(digest, item)
            if known is not item and known != item:
                raise self.collision(digest, known, item)

    def collision(self, digest: Digest, known: tuple[str, bytes], offered: tuple[str, bytes]) -> DigestCollision:
        """Returns the error for two objects of one id that met before they reached the store, after keeping both."""
        return self._objects.settle(Collided(digest, known, offered))

    # -- within --

    def _put(self, objects: Mapping[Digest, tuple[str, bytes]], blobs: Mapping[Digest, int] | None = None) -> None:
        self._check_writable()
        rows = self._objects.prepare(objects, blobs)
        if rows:
            self._write(lambda txn: self._objects.add(txn, rows))

    def _check_writable(self) -> None:
        if self._closing.is_set():  # here too: a large blob goes to its file before there is a transaction
            where = "" if self.path is None else f" at {self.path}"
            raise StoreError(f"the store{where} was closed", path=str(self.path or ""), hint="open it again")
        if self.read_only:
            raise StoreReadOnly(f"the store at {self.path} is open for reading only", path=str(self.path))

    def _write(self, function: Callable[[WriteTransaction], T]) -> T:
        try:
            return self._backend.write(function)
        except Collided as error:
            raise self._objects.settle(error) from None
