"""Adapters of names in the world: `uuid`, `ipaddress` and the parts of a URL."""

from __future__ import annotations

import ipaddress
from functools import partial
from typing import Any, Final
from urllib import parse
from uuid import UUID

from redun.core.adapters.registry import register
from redun.core.decoding import Decoder


def _read(kind: Any, _: Decoder, state: Any) -> Any:
    return kind(state)


def _read_parts(kind: Any, _: Decoder, state: Any) -> Any:
    return kind(*state)


register(UUID, "uuid.UUID", lambda _, identifier: identifier.bytes, lambda _, state: UUID(bytes=state))

_ADDRESSES: Final[tuple[Any, ...]] = (
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
    ipaddress.IPv4Network,
    ipaddress.IPv6Network,
    ipaddress.IPv4Interface,
    ipaddress.IPv6Interface,
)
for _kind in _ADDRESSES:
    register(_kind, f"ipaddress.{_kind.__name__}", lambda _, address: str(address), partial(_read, _kind))

_URLS: Final[tuple[Any, ...]] = (
    parse.ParseResult,
    parse.SplitResult,
    parse.DefragResult,
    parse.ParseResultBytes,
    parse.SplitResultBytes,
    parse.DefragResultBytes,
)
for _kind in _URLS:
    register(_kind, f"urllib.parse.{_kind.__name__}", lambda _, url: list(url), partial(_read_parts, _kind))
