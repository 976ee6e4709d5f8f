"""How the classes of files and of sets of them are written: the ones here by their name, the user's own by where they
are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from redun.core import codes
from redun.core.decoding import Decoder
from redun.core.errors import CannotEncode, MalformedObject
from redun.core.files.places import PLACES, Place
from redun.core.values import FINDERS, HANDLERS, Encoder, Handler


def kind_of(written: Any, kinds: tuple[type[Any], ...]) -> tuple[type[Any], str]:
    """Returns the class that is written so, and what its values are compared by.

    Raises:
        MalformedObject: if it is none of these.
    """
    if type(written) is str:
        name, slash, by = written.partition("/")
        for kind in kinds:
            if kind.__name__ == name and by == ("stat" if slash else "") and not (by and kind._by_is_fixed):
                return kind, by or kind._by
    raise MalformedObject(f"{written!r:.80} is no kind of file")


def read_kind(decoder: Decoder, written: Any, kinds: tuple[type[Any], ...]) -> tuple[type[Any], str]:
    """Returns what `kind_of` does, also for a class of the user's that derives from the first of these.

    Raises:
        MalformedObject: if there is no such kind.
        CannotDecode: if the class is not in the running workflow.
    """
    if type(written) is not str or ":" not in written:
        return kind_of(written, kinds)
    name, slash, by = written.partition("/")
    kind = codes.lookup(name)
    if not _derives(kind, kinds[0]) or kind in kinds:
        raise MalformedObject(f"{name!r:.80} is no kind of file")
    if slash and (by != "stat" or kind._by_is_fixed):
        raise MalformedObject(f"{written!r:.80} is no kind of file")
    decoder.code.append(kind)
    return kind, by or kind._by


def _derives(kind: Any, base: type[Any]) -> bool:
    return isinstance(kind, type) and issubclass(kind, base)


def write_kind(encoder: Encoder, value: Any, kinds: tuple[type[Any], ...]) -> str:
    """Returns how the class of a file or set is written, with what it is compared by where that is not its rule.

    Raises:
        CannotEncode: if it is a class of the user's that cannot be found by its name, or its value has more in it.
    """
    kind = type(value)
    name = kind.__name__
    if kind not in kinds:
        name = codes.qualified_name(kind)
        more = sorted(getattr(value, "__dict__", ()))
        if more:
            told = f"{value.describe()}: a {kind.__qualname__} has attributes that are not stored: {', '.join(more)}"
            raise CannotEncode(told, hint="keep them beside the file, in a dataclass that holds both")
        encoder.code.append(kind)
    return name if value.by == kind._by else f"{name}/{value.by}"


def register_kinds(kinds: tuple[type[Any], ...], handler: Handler, place: Callable[[Any], Place | None]) -> None:
    """Makes values of these classes, and of classes that derive from the first, known to encoders and as places."""

    def find(kind: type[Any]) -> Handler | None:
        if not issubclass(kind, kinds[0]):
            return None
        PLACES[kind] = place
        return handler

    HANDLERS.update(dict.fromkeys(kinds, handler))
    PLACES.update(dict.fromkeys(kinds, place))
    FINDERS.insert(0, find)
