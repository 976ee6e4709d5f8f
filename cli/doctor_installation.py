"""What `redun doctor` tells of the installation: versions, and whether another redun is in the way."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from redun.cli.findings import Finding
from redun.core.digest import self_test
from redun.core.version import VERSION
from redun.store.condition import libraries

OURS: Final = "redun-core"
_COMMAND: Final = "redun"
_SLOW: Final = "slow"


def installation() -> Iterator[Finding]:
    """Yields what there is to know about the program."""
    yield Finding("ok", "redun", f"{OURS} {VERSION} in {_package()}")
    implementation = sys.implementation.name
    yield Finding("ok", "python", f"{sys.version.split()[0]} ({implementation}, {sys.platform}) at {sys.executable}")
    found = libraries()
    with suppress(importlib.metadata.PackageNotFoundError):  # in a program that carries its libraries inside
        found["click"] = importlib.metadata.version("click")
    text = ", ".join(f"{name} {version}" for name, version in found.items())
    mark, hint = ("warn", "pip install --force-reinstall msgpack") if _SLOW in text else ("ok", "")
    yield Finding(mark, "libraries", text, hint)
    self_test()
    yield Finding("ok", "hashes", "xxh3-128 and sha256 give the known answers")
    yield from _others()
    yield from _command()


def _package() -> Path:
    return Path(os.path.abspath(__file__)).parent.parent


def _others() -> Iterator[Finding]:
    """Other distributions with an import or a command of that name, which overwrite each other's files, and modules of
    that name where Python looks for some."""
    distributions = importlib.metadata.distributions()
    names = sorted({claimed for dist in distributions if (claimed := _claim(dist))})
    for name in names:
        yield Finding(
            "warn",
            "another redun",
            f"{name} owns {_COMMAND!r} in this environment, too; `import redun` gives {_package()}, which is {OURS}",
            f"pip uninstall {name.split()[0]}, then pip install --force-reinstall {OURS}; or an environment for each",
        )
    others = list(_modules())
    for path in others:
        text = f"{path} is another module of that name where Python looks for modules"
        yield Finding("warn", "another redun", text, "rename it, or start elsewhere")
    if not names and not others:
        yield Finding("ok", "another redun", "none in this environment")


def _claim(dist: importlib.metadata.Distribution) -> str:
    """Returns the name and version of a distribution of others that has our import or our command, else nothing."""
    try:
        name, version = dist.metadata["Name"], dist.version
    except (LookupError, TypeError, AttributeError):  # what an interrupted pip leaves
        return ""
    if not name or name.lower().replace("_", "-") == OURS:
        return ""
    command = any(point.group == "console_scripts" and point.name == _COMMAND for point in dist.entry_points)
    package = f"\n{_COMMAND}/" in "\n" + (dist.read_text("RECORD") or "")
    return f"{name} {version}" if command or package else ""


def _modules() -> Iterator[Path]:
    ours = _package()
    for entry in dict.fromkeys(os.path.realpath(entry) for entry in ("", *sys.path)):
        for path in (Path(entry, _COMMAND, "__init__.py"), Path(entry, f"{_COMMAND}.py")):
            if path.is_file() and not path.parent.samefile(ours):
                yield path


def _command() -> Iterator[Finding]:
    first = shutil.which(_COMMAND)
    own = Path(sys.executable).parent / _COMMAND
    if first is None:
        hint = f"add {own.parent} to PATH" if own.exists() else ""
        yield Finding("warn", "command", f"no command {_COMMAND!r} in PATH; python -m redun does the same", hint)
    elif own.exists() and not os.path.samefile(first, own):
        text = f"{first} comes first in PATH, and {own} belongs to this Python"
        yield Finding("warn", "command", text, "put the environment that is meant first in PATH")
    else:
        yield Finding("ok", "command", first)
