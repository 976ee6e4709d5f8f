"""What this process knows and must not tell: values that a store holds as keyed digests only.

A value is known by its digest from when it is encoded until the process ends. Nothing here is ever written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from redun.core.digest import Digest

#: What stands for a secret wherever one would be read.
MASK: Final = "***"

#: Digest -> the canonical bytes of the value, and the objects that these point to.
KNOWN: Final[dict[bytes, tuple[bytes, dict[Digest, tuple[str, bytes]]]]] = {}
#: Characters of the shortest text that is masked: a shorter one occurs by chance, and is no secret for long.
_SHORTEST: Final = 4
#: The texts inside known values.
_TEXTS: Final[set[str]] = set()


def remember_texts(value: Any) -> None:
    """Makes `redacted` mask the texts inside a value."""
    for text in _texts(value):
        if len(text) >= _SHORTEST:
            _TEXTS.update((text, repr(text)[1:-1]))  # as it is, and as it reads inside quotes: messages hold both


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, int) and not isinstance(value, bool):
        yield str(value)
    elif isinstance(value, (bytes, bytearray)):
        yield repr(bytes(value))[2:-1]
        yield value.decode("utf-8", "replace")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(key)
            yield from _texts(item)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from _texts(item)


def redacted(text: str) -> str:
    """Returns the text with the known secrets in it masked. What was computed from one is not recognised."""
    if not _TEXTS:
        return text
    known = list(_TEXTS)  # another thread may add to it
    for secret in sorted((secret for secret in known if secret in text), key=len, reverse=True):
        text = text.replace(secret, MASK)  # the longest first: one may begin with another
    return text


def tells(parts: Iterable[bytes]) -> bool:
    """Returns whether a known secret can be read in one of these."""
    secrets = [secret.encode("utf-8", "surrogatepass") for secret in list(_TEXTS)]
    return bool(secrets) and any(secret in part for part in parts for secret in secrets)
