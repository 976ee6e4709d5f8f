"""Namespaces: the part of a task's full name before its own name.

Precedence: `@task(namespace=...)`, then `redun_namespace` in the module that defines the task, then the namespace set
by `namespace()`, then none. A name without a namespace is as good as any other.
"""

from __future__ import annotations

import re
from typing import Final

from redun.core.errors import TaskError

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z_0-9]*\Z")
_NAMESPACE: Final = re.compile(r"[A-Za-z_0-9][A-Za-z_0-9.]*\Z")
_current: str = ""


def namespace(name: str = "") -> None:
    """Sets the namespace of the tasks defined from here on in this process; empty for none.

    Raises:
        TaskError: if it is not letters, digits, `_` and `.`, or begins with a dot.
    """
    global _current
    _current = check_namespace(name)


def get_current_namespace() -> str:
    """Returns the namespace that `namespace()` set."""
    return _current


def check_namespace(name: str) -> str:
    """Returns the namespace if it is one.

    Raises:
        TaskError: if it is not.
    """
    if name and not _NAMESPACE.match(name):
        raise TaskError(f"{name!r} is no namespace", hint="use letters, digits, _ and ., not beginning with a dot")
    return name


def check_name(name: str) -> str:
    """Returns the name if a task may have it.

    Raises:
        TaskError: if it may not.
    """
    if not _NAME.match(name):
        raise TaskError(f"{name!r} is no name for a task", hint="use letters, digits and _, not beginning with a digit")
    return name
