"""Which place in a filesystem a value is a state of, asked without loading files: a run without them has none."""

# Annotations are evaluated here on purpose: a named tuple compiles each annotation that is a string.
from collections.abc import Callable
from typing import Any, Final, NamedTuple


class Place(NamedTuple):
    """What a value is a state of, if bodies can change it in place.

    Attributes:
        kind: the value's class.
        by: what its states are compared by.
        path: a path, or the pattern of a set.
        hidden: whether wildcards match hidden names.
        many: whether it is a set of files.
    """

    kind: type[Any]
    by: str
    path: str
    hidden: bool
    many: bool


#: By the exact class; the classes of files put themselves here when they are loaded.
PLACES: Final[dict[type[Any], Callable[[Any], Place | None]]] = {}


def place_of(value: object) -> Place | None:
    """Returns what a value is a state of; None where its path says all, and for what is no file."""
    find = PLACES.get(type(value))
    return None if find is None else find(value)
