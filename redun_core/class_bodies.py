"""What a class holds that its text does not tell.

A class keeps no code of its body, so that nothing but the values of its attributes can show that the text was edited
after the import; and others may put functions and values into a class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from types import FunctionType
from typing import Any

from redun.core.ownership import Ownership, layers
from redun.core.scopes import is_defined_in, members
from redun.core.values import PLAIN


def untold(kind: type, written: Mapping[str, list[Any]], own: Ownership) -> Iterator[tuple[str, Any]]:
    """Yields (name, value) of plain attributes that have another value than the text gives them, of containers in
    which there may be code (such as subclasses that have registered themselves), and of functions that were added.
    `written` are the literals in the class's body (`Reading.literals`)."""
    local = "<locals>" in kind.__qualname__
    for name, value in members(kind):
        plain = value._value_ if isinstance(value, Enum) else value
        if name in written and type(plain) in PLAIN:
            told = [(type(one), one) for one in written[name]]
            if ((type(plain), plain) not in told) if told else local:
                yield name, plain
        elif (name in written and isinstance(value, (dict, list, set))) or _is_added(value, kind, own):
            yield name, value


def _is_added(value: Any, kind: type, own: Ownership) -> bool:
    for layer in layers(value):
        if isinstance(layer, FunctionType) and own.owns(layer) and not is_defined_in(kind, layer):
            # what a library generates (`__init__` of a dataclass) follows from the text
            return not layer.__code__.co_filename.startswith(("<string>", "<attrs"))
    return False
