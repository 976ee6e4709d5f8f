"""The content-addressed store. Floor 2: imports only the core.

    from redun.store import Store

    with Store.init("proj/.redun/store") as store:
        digest = store.put("value", payload)

Names are loaded at first use (PEP 562), so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redun.store.batch import Batch, RunUpdate
    from redun.store.fsck import check
    from redun.store.journal import LiveInfo, LiveRun
    from redun.store.memo import MemoCall, MemoRow, MemoUpdate
    from redun.store.meta import is_store
    from redun.store.problems import Problem
    from redun.store.readers import Reader
    from redun.store.refs import RefLogEntry
    from redun.store.store import Store

__all__ = [
    "Batch",
    "LiveInfo",
    "LiveRun",
    "MemoCall",
    "MemoRow",
    "MemoUpdate",
    "Problem",
    "Reader",
    "RefLogEntry",
    "RunUpdate",
    "Store",
    "check",
    "is_store",
]

_HOMES = {
    "Batch": "batch",
    "LiveInfo": "journal",
    "LiveRun": "journal",
    "MemoCall": "memo",
    "MemoRow": "memo",
    "MemoUpdate": "memo",
    "Problem": "problems",
    "Reader": "readers",
    "RefLogEntry": "refs",
    "RunUpdate": "batch",
    "Store": "store",
    "check": "fsck",
    "is_store": "meta",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
