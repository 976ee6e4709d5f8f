"""What tells one state of a remote file from another, of all that its server says of it."""

from __future__ import annotations

import calendar
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, NamedTuple

#: What is made of the bytes, or changes whenever they do, the first of these that is there. Checksums stand before
#: tags: the same bytes written again are the same state, and some servers' tags change with a file's metadata.
_STRONG: Final = (
    "md5Hash",
    "content_md5",
    "Content-MD5",
    "Digest",
    "checksum",
    "sha256",
    "sha",
    "crc32c",
    "ETag",
    "etag",
    "generation",
    "VersionId",
    "version_id",
    "version",
)
#: When the content was written, as the filesystems of fsspec name it.
_TIMES: Final = (
    "mtime",
    "LastModified",
    "last_modified",
    "Last-Modified",
    "updated",
    "modify",
    "modificationTime",
    "modified",
)
#: A file changed within this time (ns) could change again without its times moving: many servers count in seconds.
_SETTLED: Final = 3_000_000_000


class Validator(NamedTuple):
    """What a server says of a file.

    Attributes:
        strong: tells every two contents apart; empty where there is none.
        size: in bytes, or -1.
        mtime: in nanoseconds since the epoch, or -1.
        weak: all that is said without being strong.
    """

    strong: bytes
    size: int
    mtime: int
    weak: bytes

    @property
    def row(self) -> tuple[int, int, int, int]:
        """What a remembered hash of the content is known by, in the form that rows of the stat memo have."""
        return max(self.size, 0), max(self.mtime, 0), 0, int.from_bytes(sha256(self.weak).digest()[:7])

    @property
    def settled(self) -> bool:
        """Whether a change from now on would show."""
        return self.size >= 0 and 0 <= self.mtime < time.time_ns() - _SETTLED


def validator_of(info: Mapping[str, Any]) -> Validator:
    """Returns what fsspec's information about a file says of its state."""
    size = info.get("size")
    size = size if isinstance(size, int) else -1
    settings = info.get("content_settings")
    if isinstance(settings, Mapping) and settings.get("content_md5"):
        info = {**info, "content_md5": bytes(settings["content_md5"]).hex()}
    strong = b""
    weak = [f"size {size}"]
    for name in _STRONG:
        value = info.get(name)
        if not isinstance(value, (str, int)) or not value or value == "null":
            continue
        text = f"{name.lower()} {size} {value}"
        if str(value).startswith("W/"):  # a tag of what the content means, not of its bytes
            weak.append(text)
        elif not strong:
            strong = text.encode("utf-8", "surrogateescape")
    mtime = -1
    for name in _TIMES:
        if info.get(name):
            mtime = _nanoseconds(info[name])
            weak.append(f"{name} {info[name]}")
            break
    return Validator(strong, size, mtime, "\n".join(weak).encode("utf-8", "surrogateescape"))


def state_of(text: bytes) -> bytes:
    """Returns the state that a validator stands for, as long as that of a content."""
    return sha256(b"redun.remote\0" + text).digest()


def _nanoseconds(value: Any) -> int:
    if isinstance(value, datetime):
        aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        return int(aware.timestamp() * 1_000_000) * 1000
    if isinstance(value, (int, float)):
        seconds = value / 1000 if value > 1e11 else value  # some count in milliseconds
        return int(seconds * 1_000_000) * 1000
    text = str(value)
    for form in ("%a, %d %b %Y %H:%M:%S GMT", "%Y%m%d%H%M%S", "%Y-%m-%dT%H:%M:%SZ"):
        try:
            return (
                calendar.timegm(time.strptime(text.partition(".")[0] if form == "%Y%m%d%H%M%S" else text, form)) * 10**9
            )
        except ValueError:
            continue
    return -1
