"""Makes every decoder know files and sets of them: their classes load when the first one turns up."""

from __future__ import annotations

from typing import Any

from redun.core import codes
from redun.core.decoding import READERS, Decoder


def _read_file(decoder: Decoder, items: Any) -> Any:
    from redun.core.files import file as _classes  # noqa: F401  it puts its own reader in the place of this one

    return READERS[codes.FILE](decoder, items)


def _read_set(decoder: Decoder, items: Any) -> Any:
    from redun.core.files import sets as _classes  # noqa: F401  likewise

    return READERS[codes.FILESET](decoder, items)


READERS.setdefault(codes.FILE, _read_file)
READERS.setdefault(codes.FILESET, _read_set)
