"""Adapter of the time zones of `pytz`, which pandas used before its version 3: each is of a class of its own."""

from __future__ import annotations

from typing import Any

import pytz
from pytz.tzinfo import BaseTzInfo

from redun.core import codes
from redun.core.adapters.registry import reads
from redun.core.decoding import Decoder
from redun.core.values import FINDERS, Encoder, Handler


def _zone(encoder: Encoder, zone: Any) -> Any:
    """Its name, and where it was made for one moment, the offset that it has then."""
    whole: Any = pytz.timezone(zone.zone)
    state = [zone.zone] if whole is zone else [zone.zone, zone._utcoffset, zone._dst, zone._tzname]
    return encoder.ext(codes.ADAPTED, ["pytz.zone", state])


def _read(_: Decoder, state: Any) -> Any:
    zone: Any = pytz.timezone(state[0])
    return zone if len(state) == 1 else zone._tzinfos[tuple(state[1:])]


def _finder(kind: type) -> Handler | None:
    return _zone if issubclass(kind, BaseTzInfo) else None


FINDERS.append(_finder)
reads("pytz.zone", _read)
