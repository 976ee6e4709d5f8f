"""What `redun run` is given as `key=value`: options of the task, and values of the context."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from redun.cli.conversions import from_text
from redun.cli.exits import UsageError
from redun.core.tasks import merged

#: What Python calls them: JSON has other names.
_WORDS: Final = {"True": True, "False": False, "None": None}


def task_options(words: Sequence[str]) -> dict[str, Any]:
    """Returns task options from `key=value` words. Values are JSON, or Python's True, False and None, or text.

    Raises:
        UsageError: for a word that is not of that form.
    """
    parsed: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key.isidentifier():
            raise UsageError(f"-o {word}: an option of a task is written key=value", hint="such as -o cache=false")
        parsed[key] = _value(text)
    return parsed


def given_context(file: str | None, words: Sequence[str]) -> dict[str, Any]:
    """Returns the context of a JSON or TOML file, with `path.to.key=value` words over it, the last the strongest.

    Raises:
        UsageError: for a word that is not of that form.
        ConfigError: if the file cannot be read, or is neither.
    """
    found = {} if file is None else _read(file)
    for word in words:
        path, equals, text = word.partition("=")
        *outer, last = path.split(".")
        if not equals or not all((*outer, last)):
            raise UsageError(
                f"--context {word}: a value of the context is written path.to.key=value",
                hint="such as --context db.port=5432",
            )
        change: dict[str, Any] = {last: _value(text)}
        for part in reversed(outer):
            change = {part: change}
        found = merged(found, change)
    return found


def _read(file: str) -> dict[str, Any]:
    # Here and not at the top: few runs are given a file.
    from redun.executor.config.collect import CONTEXT, context_entries, nested
    from redun.executor.config.records import Origin

    return nested(context_entries(Path(file), Origin("--context-file")), CONTEXT)


def _value(text: str) -> Any:
    return _WORDS[text] if text in _WORDS else from_text(text, Any)
