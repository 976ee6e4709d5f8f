"""Puts and moves of refs that are gathered, and written as one when the `with` block has ended well."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from redun.core.digest import Digest
from redun.core.errors import StoreError
from redun.core.frame import object_id
from redun.core.kinds import check_others
from redun.store import values
from redun.store.batch import Batch, RefMove
from redun.store.refs import check_name

if TYPE_CHECKING:
    from redun.store.store import Store

#: The open transactions of this thread, or of this asyncio task.
_open: ContextVar[tuple[Transaction, ...]] = ContextVar("transactions", default=())


class Transaction:
    """What `Store.transaction` returns: use it in a `with` statement, once.

    Nothing is written before the block ends; then everything is, in one transaction of the database, or nothing. A
    block left by an exception writes nothing. What was put and moved is seen through the transaction at once, and
    through the store when the block has ended.

    What is put is kept in memory until then, but for blobs of more than a mebibyte, which are in their files by then.

    It is for one thread. It holds no lock while the block runs, so it may take its time, and another writer may come
    first: what this one relied on is what its moves of refs expect.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._batch = Batch()
        self._refs: dict[str, Digest | None] = {}
        self._begun = False
        self._is_open = False

    # -- its life --

    def __enter__(self) -> Self:
        if self._begun:
            raise StoreError("a transaction is used once", hint="Store.transaction() makes another")
        others = _open.get()
        if any(other._store is self._store for other in others):
            raise StoreError(
                "a transaction inside a transaction of the same store", hint="use the one that is open, or end it first"
            )
        self._begun = self._is_open = True
        _open.set((*others, self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        batch, self._batch = self._batch, Batch()
        self._is_open = False
        _open.set(tuple([other for other in _open.get() if other is not self]))
        if kind is None and (batch.objects or batch.blobs or batch.moves):
            self._store.commit(batch)

    def _check_open(self) -> None:
        if not self._is_open:
            when = "has ended" if self._begun else "has not begun"
            raise StoreError(f"this transaction {when}", hint="use it inside `with store.transaction() as txn:`")

    # -- objects --

    def put(self, kind: str, payload: bytes) -> Digest:
        """Puts an object; returns its id. See `put_many`."""
        return self.put_many([(kind, payload)])[0]

    def put_many(self, items: Iterable[tuple[str, bytes]]) -> list[Digest]:
        """Puts objects; returns their ids.

        Raises:
            StoreError: if the transaction is not open.
            MalformedObject, DigestCollision: as `Store.put_many`.
        """
        self._check_open()
        items = list(items)
        check_others(items)
        digests = [object_id(self._store.format, kind, payload) for kind, payload in items]
        self._store.gather(self._batch, digests, items)
        return digests

    def put_value(self, obj: Any) -> Digest:
        """Puts a Python value; returns its id.

        Raises:
            StoreError: if the transaction is not open.
            CannotEncode, ValueTooDeep, DigestCollision: as `Store.put_value`.
        """
        self._check_open()
        store = self._store
        return values.encode(obj, store.format, self._batch, store.write_blob, store.collision)

    def put_blob(self, parts: Iterable[bytes | memoryview], size: int) -> Digest:
        """Puts a blob that arrives in parts; returns its id. A large one is written to its file at once, and becomes an
        object with the rest.

        Raises:
            StoreError: if the transaction is not open.
            ValueError, DigestCollision, StoreFull: as `Store.put_blob`.
        """
        self._check_open()
        return self._store.stage_blob(parts, size, self._batch)

    def get(self, digest: Digest) -> tuple[str, bytes]:
        """Returns (kind, payload) of an object, one that was put here or one of the store.

        Raises:
            StoreError: if the transaction is not open.
            NotFound, StoreDamaged: as `Store.get`.
        """
        kind, payload = self._fetch(digest)
        return kind, bytes(payload)

    def get_many(self, digests: Sequence[Digest]) -> list[tuple[str, bytes] | None]:
        """Returns (kind, payload) of each object, None where there is none.

        Raises:
            StoreError: if the transaction is not open.
            StoreDamaged: as `Store.get`.
        """
        self._check_open()
        return [self.get(digest) if self.has(digest) else None for digest in digests]

    def get_value(self, digest: Digest) -> Any:
        """Returns a Python value.

        Raises:
            StoreError: if the transaction is not open.
            NotFound, CannotDecode, MalformedObject, StoreDamaged: as `Store.get_value`.
        """
        return values.decode(digest, self._fetch)

    def has(self, digest: Digest) -> bool:
        """Returns whether there is an object of that id, here or in the store.

        Raises:
            StoreError: if the transaction is not open.
        """
        self._check_open()
        return digest in self._batch.objects or digest in self._batch.blobs or self._store.has(digest)

    def _fetch(self, digest: Digest) -> tuple[str, bytes | memoryview]:
        self._check_open()
        found = self._batch.objects.get(digest)
        if found is not None:
            return found
        if digest in self._batch.blobs:
            return "blob", self._store.written_blob(digest)
        return self._store.open_object(digest)

    # -- refs --

    def ref(self, name: str) -> Digest | None:
        """Returns what a ref points to, as moved here or else as it is in the store; None if there is no such ref.

        Raises:
            StoreError: if the name cannot be that of a ref, or the transaction is not open.
        """
        self._check_open()
        return self._refs[name] if name in self._refs else self._store.ref(name)

    def set_ref(self, name: str, new: Digest | None, *, expected: Digest | None, reason: str) -> None:
        """Moves a ref by compare-and-swap when the block ends; None is no ref.

        The comparison is made then: if the ref is not at `expected` the block ends with `RefMoved`, if `new` names no
        object with `NotFound`, and nothing of the transaction is written.

        Raises:
            StoreError: if the name cannot be that of a ref, or the transaction is not open.
        """
        self._check_open()
        check_name(name)
        self._batch.moves.append(RefMove(name, new, expected, reason))
        self._refs[name] = new
