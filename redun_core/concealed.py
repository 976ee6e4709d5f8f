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
#: The texts inside known values, longest first.
_TEXTS: Final[list[str]] = []


def remember_texts(value: Any) -> None:
    """Makes `redacted` mask the texts inside a value."""
    for text in _texts(value):
        # As it is, and as it reads inside quotes: messages hold both.
        forms = {text, repr(text)[1:-1]} if len(text) >= _SHORTEST else set()
        _TEXTS.extend(forms.difference(_TEXTS))
    _TEXTS.sort(key=len, reverse=True)  # a secret that begins with another is masked whole


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
    for secret in _TEXTS:
        if secret in text:
            text = text.replace(secret, MASK)
    return text


def tells(parts: Iterable[bytes]) -> bool:
    """Returns whether a known secret can be read in one of these."""
    secrets = [secret.encode("utf-8", "surrogatepass") for secret in _TEXTS]
    return bool(secrets) and any(secret in part for part in parts for secret in secrets)
