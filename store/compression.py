"""Payloads compressed with zstd: which ones, and back again within bounds whatever the bytes say.

The library comes with Python 3.14; before, with the extra `redun-core[zstd]`. It is loaded when something is
compressed or decompressed, never before.
"""

from __future__ import annotations

import sys
from functools import cache
from types import ModuleType
from typing import Any, Final

from redun.core import limits
from redun.core.errors import LibraryMissing, StoreDamaged, StoreError

#: What a store may be told about compressing what is put into it.
COMPRESSIONS: Final = ("none", "zstd")

#: In front of the frame: the size of the payload.
SIZE_BYTES: Final = 4
#: How a frame begins.
_MAGIC: Final = b"\x28\xb5\x2f\xfd"
#: Calls, trees and footprints are little but ids, which do not become smaller: not tried. (Measured: decision 0008.)
_INCOMPRESSIBLE: Final = frozenset({"call", "tree", "footprint"})
#: Higher levels take several times as long and save a few hundredths more.
_LEVEL: Final = 3
#: Logarithm of the window that a frame may ask for: no payload in the table is larger.
_WINDOW_LOG: Final = limits.INLINE_BYTES.bit_length() - 1


@cache
def _library() -> ModuleType:
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
    except ImportError:
        hint = "pip install 'redun-core[zstd]'"
        if sys.version_info >= (3, 14):
            hint = "this Python was built without compression.zstd; use one that has it"
        raise LibraryMissing("zstd is needed for this store and is not installed", hint=hint) from None
    return zstd


@cache
def _compressor() -> Any:
    """One for all threads, as each call of it takes its lock; None where the library is missing."""
    try:
        return _library().ZstdCompressor(_LEVEL)
    except LibraryMissing:
        return None


def check_compression(name: str) -> None:
    """Checks the name of a compression, and that it can be done here.

    Raises:
        StoreError: if there is no such compression.
        LibraryMissing: if the library is not installed.
    """
    if name not in COMPRESSIONS:
        raise StoreError(f"there is no compression {name!r}", hint="choose " + " or ".join(COMPRESSIONS))
    if name == "zstd":
        _library()


def packed(kind: str, payload: bytes) -> bytes | None:
    """Returns a payload's size and its frame, or None where that saves too little, or the library is missing: whoever
    has it compresses, and nobody is kept from writing."""
    size = len(payload)
    if size < limits.COMPRESSED_BYTES or kind in _INCOMPRESSIBLE:
        return None
    compressor = _compressor()
    if compressor is None:
        return None
    frame: bytes = compressor.compress(payload, compressor.FLUSH_FRAME)
    return size.to_bytes(SIZE_BYTES, "big") + frame if len(frame) <= size - size // 8 else None


def unpacked(data: bytes) -> bytes:
    """Returns the payload that `packed` was given. It takes at most a few megabytes, whatever the bytes say.

    Raises:
        StoreDamaged: if these are not the size of a payload and exactly one frame of that size.
        LibraryMissing: if the library is not installed.
    """
    size = int.from_bytes(data[:SIZE_BYTES], "big")
    if not 0 < size <= limits.INLINE_BYTES:
        raise _damaged(f"{size} bytes")
    if not data.startswith(_MAGIC, SIZE_BYTES):
        raise _damaged("no frame")
    library = _library()
    decompressor = library.ZstdDecompressor(options={library.DecompressionParameter.window_log_max: _WINDOW_LOG})
    try:
        payload: bytes = decompressor.decompress(data[SIZE_BYTES:], size + 1)
    except library.ZstdError as error:
        raise _damaged(str(error)) from None
    if len(payload) != size or not decompressor.eof or decompressor.unused_data:
        raise _damaged(f"not one frame of {size} bytes")
    return payload


def _damaged(what: str) -> StoreDamaged:
    return StoreDamaged(f"compressed bytes that cannot be decompressed: {what}", hint="redun fsck")
