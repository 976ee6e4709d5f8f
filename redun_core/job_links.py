"""Who called whom on a page of jobs, read without making its rows: an execution may have a million."""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
from itertools import accumulate
from typing import NamedTuple, Self

from redun.core.codec import Pointer, unpack
from redun.core.digest import Digest
from redun.core.errors import MalformedObject
from redun.core.shapes import SCHEMA


class JobLinks(NamedTuple):
    """Three columns of a page: row numbers, row numbers of the parents (-1: none), and calls."""

    numbers: list[int]
    parents: list[int]
    calls: list[Digest | None]

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """Returns the columns of a page's canonical bytes.

        Raises:
            MalformedObject: if the bytes are not a page of jobs.
        """
        record = unpack(payload)
        try:
            if record[0] != SCHEMA:
                raise MalformedObject(f"jobs of schema {record[0]!r}", hint="a newer redun wrote this store; upgrade")
            calls = [Digest(bytes(call)) if type(call) is Pointer else None for call in record[3]]
            return cls(list(accumulate(record[2])), record[4], calls)
        except (TypeError, IndexError, KeyError) as error:
            raise MalformedObject(f"a page of jobs whose columns do not fit: {error}") from None
