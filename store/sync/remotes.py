"""The remotes of a store: names for other stores, where they are, and what is believed of them."""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
from typing import Final, NamedTuple

from redun.core.codec import pack, unpack
from redun.core.errors import NotFound, StoreDamaged, StoreError
from redun.store.checksums import body_of, with_checksum
from redun.store.ports import Backend, WriteTransaction, scan_prefix
from redun.store.refs import check_name
from redun.store.sync.addresses import address_of
from redun.store.sync.local import TRUSTS, Trust

DEFAULT: Final = "origin"
TABLE: Final = "remotes"


class Remote(NamedTuple):
    """A remote: its name, its URL, and what is believed of what it sends."""

    name: str
    url: str
    trust: Trust = "provenance"


def all_remotes(backend: Backend) -> dict[str, Remote]:
    """Returns every remote, by name in order.

    Raises:
        StoreDamaged: if one is not as it was written.
    """
    return {key.decode(): _read(key, row) for key, row in scan_prefix(backend, TABLE, b"")}


def find(backend: Backend, name: str) -> Remote:
    """Returns the remote of that name.

    Raises:
        NotFound: if there is none.
    """
    row = backend.read(lambda txn: txn.get(TABLE, name.encode("utf-8", "replace") or b"\0"))
    if row is None:
        hint = f"redun remote add {name} URL" if _is_name(name) else "redun remote list"
        raise NotFound(f"there is no remote named {name!r}", hint=hint)
    return _read(name.encode(), row)


def put(txn: WriteTransaction, remote: Remote, *, new: bool) -> None:
    """Writes a remote.

    Raises:
        StoreError: if the name or the URL cannot be one, or a new one is there already.
    """
    if not _is_name(remote.name) or remote.trust not in TRUSTS:
        raise StoreError(f"{remote.name!r} is no name for a remote", hint="a word, such as origin")
    address_of(remote.url)
    key = remote.name.encode()
    if new and txn.get(TABLE, key) is not None:
        raise StoreError(f"there is a remote named {remote.name} already", hint=f"redun remote remove {remote.name}")
    txn.put(TABLE, key, with_checksum(key, pack([remote.url, remote.trust])))


def remove(txn: WriteTransaction, name: str) -> bool:
    """Removes a remote; returns whether there was one."""
    return txn.delete(TABLE, name.encode("utf-8", "replace") or b"\0")


def _is_name(name: str) -> bool:
    try:
        check_name(name)
    except StoreError:
        return False
    return "/" not in name and ":" not in name


def _read(key: bytes, row: bytes) -> Remote:
    body = body_of(key, row)
    if body is None:
        raise StoreDamaged(f"the remote {key.decode(errors='replace')} is damaged", hint="redun remote add it again")
    url, trust = unpack(body)
    return Remote(key.decode(), url, trust)
