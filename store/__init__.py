"""The content-addressed store. Floor 2: imports only the core. `README.md` here tells how to use it.

    from redun.store import Store

    with Store.init("proj/.redun/store") as store:
        digest = store.put_value({"any": ["plain", 1.5]})

Names are loaded at first use (PEP 562), so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redun.core.adapters.registry import register_adapter
    from redun.core.codec import Pointer, pack, unpack
    from redun.core.digest import Digest
    from redun.core.errors import (
        CannotDecode,
        CannotEncode,
        CodecError,
        DigestCollision,
        MalformedObject,
        NotAStore,
        NotFound,
        RedunError,
        RefMoved,
        StoreDamaged,
        StoreError,
        StoreFailing,
        StoreFormatError,
        StoreFull,
        StoreLocked,
        StoreReadOnly,
        ValueTooDeep,
    )
    from redun.core.kinds import register_kind
    from redun.store.backup import Backup
    from redun.store.batch import Batch, RefMove, RunUpdate
    from redun.store.converting import Conversion, convert
    from redun.store.fsck import check
    from redun.store.gc.collect import Collection, GcOptions
    from redun.store.gc.retention import KeepRules, Pruning
    from redun.store.journal import LiveInfo, LiveRun
    from redun.store.locate import find_store
    from redun.store.memo import MemoCall, MemoRow, MemoUpdate
    from redun.store.mending.records import Mended, Repaired
    from redun.store.mending.whole import repair
    from redun.store.meta import is_store
    from redun.store.problems import Problem
    from redun.store.readers import Reader
    from redun.store.refs import RefLogEntry
    from redun.store.restoring import Restored, restore
    from redun.store.statistics import Statistics
    from redun.store.store import Store
    from redun.store.transaction import Transaction

__all__ = [
    "Backup",
    "Batch",
    "CannotDecode",
    "CannotEncode",
    "CodecError",
    "Collection",
    "Conversion",
    "Digest",
    "DigestCollision",
    "GcOptions",
    "KeepRules",
    "LiveInfo",
    "LiveRun",
    "MalformedObject",
    "MemoCall",
    "MemoRow",
    "MemoUpdate",
    "Mended",
    "NotAStore",
    "NotFound",
    "Pointer",
    "Problem",
    "Pruning",
    "Reader",
    "RedunError",
    "RefLogEntry",
    "RefMove",
    "RefMoved",
    "Repaired",
    "Restored",
    "RunUpdate",
    "Statistics",
    "Store",
    "StoreDamaged",
    "StoreError",
    "StoreFailing",
    "StoreFormatError",
    "StoreFull",
    "StoreLocked",
    "StoreReadOnly",
    "Transaction",
    "ValueTooDeep",
    "check",
    "convert",
    "find_store",
    "is_store",
    "pack",
    "register_adapter",
    "register_kind",
    "repair",
    "restore",
    "unpack",
]

#: Name -> the module that owns it.
_HOMES = {
    "Backup": "redun.store.backup",
    "Batch": "redun.store.batch",
    "CannotDecode": "redun.core.errors",
    "CannotEncode": "redun.core.errors",
    "CodecError": "redun.core.errors",
    "Collection": "redun.store.gc.collect",
    "Conversion": "redun.store.converting",
    "Digest": "redun.core.digest",
    "DigestCollision": "redun.core.errors",
    "GcOptions": "redun.store.gc.collect",
    "KeepRules": "redun.store.gc.retention",
    "LiveInfo": "redun.store.journal",
    "LiveRun": "redun.store.journal",
    "MalformedObject": "redun.core.errors",
    "MemoCall": "redun.store.memo",
    "MemoRow": "redun.store.memo",
    "MemoUpdate": "redun.store.memo",
    "Mended": "redun.store.mending.records",
    "NotAStore": "redun.core.errors",
    "NotFound": "redun.core.errors",
    "Pointer": "redun.core.codec",
    "Problem": "redun.store.problems",
    "Pruning": "redun.store.gc.retention",
    "Reader": "redun.store.readers",
    "RedunError": "redun.core.errors",
    "RefLogEntry": "redun.store.refs",
    "RefMove": "redun.store.batch",
    "RefMoved": "redun.core.errors",
    "Repaired": "redun.store.mending.records",
    "Restored": "redun.store.restoring",
    "RunUpdate": "redun.store.batch",
    "Statistics": "redun.store.statistics",
    "Store": "redun.store.store",
    "StoreDamaged": "redun.core.errors",
    "StoreError": "redun.core.errors",
    "StoreFailing": "redun.core.errors",
    "StoreFormatError": "redun.core.errors",
    "StoreFull": "redun.core.errors",
    "StoreLocked": "redun.core.errors",
    "StoreReadOnly": "redun.core.errors",
    "Transaction": "redun.store.transaction",
    "ValueTooDeep": "redun.core.errors",
    "check": "redun.store.fsck",
    "convert": "redun.store.converting",
    "find_store": "redun.store.locate",
    "is_store": "redun.store.meta",
    "pack": "redun.core.codec",
    "register_adapter": "redun.core.adapters.registry",
    "register_kind": "redun.core.kinds",
    "repair": "redun.store.mending.whole",
    "restore": "redun.store.restoring",
    "unpack": "redun.core.codec",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
