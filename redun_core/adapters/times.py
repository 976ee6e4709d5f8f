"""Adapters of `datetime`, `zoneinfo` and `time`."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from time import struct_time
from typing import Any
from zoneinfo import ZoneInfo

from redun.core.adapters.registry import register
from redun.core.decoding import Decoder
from redun.core.errors import CannotEncode
from redun.core.values import Encoder


def _datetime(_: Encoder, moment: datetime) -> Any:
    # the zone is a value of its own: two moments that compare equal in different zones are different values
    return [moment.replace(tzinfo=None, fold=0).isoformat(), moment.tzinfo, moment.fold]


def _read_datetime(_: Decoder, state: Any) -> datetime:
    return datetime.fromisoformat(state[0]).replace(tzinfo=state[1], fold=state[2])


def _time(_: Encoder, clock: time) -> Any:
    return [clock.replace(tzinfo=None, fold=0).isoformat(), clock.tzinfo, clock.fold]


def _read_time(_: Decoder, state: Any) -> time:
    return time.fromisoformat(state[0]).replace(tzinfo=state[1], fold=state[2])


def _timezone(_: Encoder, zone: timezone) -> Any:
    name = zone.tzname(None)
    offset = zone.utcoffset(None)
    return [offset, None if timezone(offset).tzname(None) == name else name]


def _read_timezone(_: Decoder, state: Any) -> timezone:
    offset, name = state
    if offset == timedelta(0) and name is None:
        return UTC
    return timezone(offset) if name is None else timezone(offset, name)


register(date, "datetime.date", lambda _, day: day.isoformat(), lambda _, state: date.fromisoformat(state))
register(datetime, "datetime.datetime", _datetime, _read_datetime)
register(time, "datetime.time", _time, _read_time)
register(
    timedelta,
    "datetime.timedelta",
    lambda _, d: [d.days, d.seconds, d.microseconds],
    lambda _, state: timedelta(*state),
)
register(timezone, "datetime.timezone", _timezone, _read_timezone)


def _zone(_: Encoder, zone: ZoneInfo) -> str:
    if zone.key is None:
        raise CannotEncode("a time zone read from a file has no name", hint="use ZoneInfo('Area/City')")
    return zone.key


register(ZoneInfo, "zoneinfo.ZoneInfo", _zone, lambda _, state: ZoneInfo(state))
register(
    struct_time,
    "time.struct_time",
    lambda _, moment: [*moment, moment.tm_zone, moment.tm_gmtoff],
    lambda _, state: struct_time(state),
)
