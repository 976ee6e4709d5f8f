"""Values of arguments: what an argument of a node has become once the nodes that it refers to have their results."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

from redun.core import codes
from redun.core.codec import extension_code
from redun.core.decoding import Decoder
from redun.core.digest import Digest
from redun.core.files.places import place_of
from redun.core.reduction import Arg
from redun.core.values import Encoded, Encoder
from redun.executor.jobs import Method, Unit

Fetch = Callable[[Digest], tuple[str, Any]]


def result_of(units: Sequence[Unit | None], number: int) -> Encoded:
    """Returns the result of a unit that has one."""
    unit = units[number]
    assert unit is not None
    assert unit.result is not None
    return unit.result


def whole_set(encoded: Encoded) -> Any:
    """Returns a copy of the set of files that a value is, where it was read before; None for all others. A set may have
    100,000 members, which its copies share."""
    externals = encoded.externals
    if len(externals) != 1 or not encoded.inspected:
        return None
    place = place_of(externals[0])
    if place is None or not place.many or extension_code(encoded.payload) != codes.FILESET:
        return None
    return copy.copy(externals[0])


class Resolver:
    """Reads arguments and results. `fetch` gives objects that cannot change."""

    def __init__(self, encoder: Encoder, fetch: Fetch) -> None:
        self.encoder = encoder
        self.fetch = fetch

    def resolve(self, arg: Arg, units: Sequence[Unit | None]) -> Encoded:
        """Returns the value of an argument whose nodes all have results.

        Raises:
            CodecError: if it cannot be made.
        """
        if type(arg) is int:
            result = result_of(units, arg)
            if type(result) is Method:
                raise result.is_no_value()
            return result
        assert isinstance(arg, Encoded)
        return self.fill(arg, units) if arg.nodes else arg

    def fill(self, template: Encoded, units: Sequence[Unit | None]) -> Encoded:
        """Returns the value that a template becomes when its nodes have theirs.

        Raises:
            CodecError: as `resolve`.
        """
        if template.is_list:
            found = self.encoder.joined([result_of(units, number) for number in template.nodes])
            if found is not None:
                return found
        decoder = Decoder(self.fetch, lambda number: self.value(result_of(units, number)))
        return self.encoder.encode(decoder.decode(template.payload))

    def payload(self, encoded: Encoded) -> bytes:
        """Returns the bytes of a value, fetched where only its id is at hand."""
        if encoded.payload or encoded.digest is None:
            return encoded.payload
        return bytes(self.fetch(encoded.digest)[1])

    def value(self, encoded: Encoded | None, *, veiled: bool = False) -> Any:
        """Returns a value of its own for one consumer: what can change is decoded anew each time. `veiled` as in the
        decoder: for values that are encoded again."""
        assert encoded is not None
        if encoded.plain:
            return encoded.obj
        if type(encoded) is Method:
            raise encoded.is_no_value()
        files = whole_set(encoded) if encoded.externals else None
        if files is not None:
            return files
        decoder = Decoder(self.fetch)
        decoder.veiled = veiled
        value = decoder.decode(self.payload(encoded))
        encoded.externals = tuple(decoder.externals)
        encoded.code = tuple(dict.fromkeys(decoder.code))
        encoded.inspected = True
        return value

    def operand(self, arg: Arg, units: Sequence[Unit | None], operation: str) -> Any:
        """Returns the value of an operand: not copied for operations that change nothing."""
        method = result_of(units, arg) if type(arg) is int else None
        if type(method) is Method:
            return getattr(self.value(method.owner), method.name)
        encoded = self.resolve(arg, units)
        if encoded.plain or operation == "call":
            return self.value(encoded)
        if encoded.obj is None:  # one copy serves all that only look at it
            encoded.obj = self.value(encoded)
        return encoded.obj
