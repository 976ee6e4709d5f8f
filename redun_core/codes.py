"""The extension codes of values, and the names that stored bytes use for classes and functions.

1 to 63 are structured (their data is one msgpack array), 64 to 127 opaque: see `codec`.
"""

from __future__ import annotations

import sys
import types
from pathlib import PurePath
from typing import Any, Final

from redun.core.errors import CannotDecode, CannotEncode

TUPLE: Final = 1
SET: Final = 2
FROZENSET: Final = 3
ADAPTED: Final = 4
DATACLASS: Final = 5
NAMEDTUPLE: Final = 6
ENUM: Final = 7
INSTANCE: Final = 8
ERROR: Final = 9
FUNCTION: Final = 10
CLASS: Final = 11
TASK: Final = 12
PARTIAL: Final = 13
FILE: Final = 14
LARGE: Final = 15
SEGMENTED: Final = 16
QUOTED: Final = 17
FILESET: Final = 18
ARCHIVE: Final = 19
NODE: Final = 65
BIGINT: Final = 66
BYTEARRAY: Final = 67
SURROGATES: Final = 68


def main_name() -> str:
    """Returns the name that `__main__` has in stored bytes: the stem of its file, so that `python w.py` and
    `redun run w.py` speak of the same classes and tasks."""
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    return PurePath(file).stem if file else "__main__"


def module_name(name: str) -> str:
    """Returns the stored name of a module."""
    return main_name() if name == "__main__" else name


def qualified_name(obj: Any) -> str:
    """Returns `module:qualname` of a class or function.

    Raises:
        CannotEncode: if that name does not lead back to it (it is local to a function, or a lambda).
    """
    module, qualname = obj.__module__, obj.__qualname__
    if module == "builtins" and _walk(sys.modules["builtins"], qualname) is not obj:
        # NoneType and its like have a name in `types` only
        module, qualname = "types", next((name for name in dir(types) if getattr(types, name) is obj), qualname)
    if _walk(sys.modules.get(module), qualname) is not obj:
        what = "class" if isinstance(obj, type) else "function"
        module = obj.__module__
        raise CannotEncode(
            f"{what} {module}.{qualname} cannot be found by its name",
            hint=f"define the {what} at the top level of a module",
        )
    return f"{module_name(module)}:{qualname}"


def lookup(name: str) -> Any:
    """Returns what `module:qualname` names among the modules already imported; it never imports.

    Raises:
        CannotDecode: if the module is not imported or has no such name.
    """
    module, _, qualname = name.partition(":")
    loaded = sys.modules.get(module)
    if loaded is None and module == main_name():
        loaded = sys.modules.get("__main__")
    found = _walk(loaded, qualname)
    if found is None:
        raise CannotDecode(
            f"{name} is not in the running workflow", hint="import its module where the workflow is defined"
        )
    return found


def _walk(obj: Any, qualname: str) -> Any:
    for part in qualname.split("."):
        obj = getattr(obj, part, None)
    return obj
