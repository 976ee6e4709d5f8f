"""Adapters of `pathlib`. A path is its text: it says nothing of what lies there (that is `File`)."""

from __future__ import annotations

from pathlib import Path, PosixPath, PurePosixPath, PureWindowsPath

from redun.core.adapters.registry import register

register(PosixPath, "pathlib.PosixPath", lambda _, path: str(path), lambda _, state: Path(state))  # type: ignore[arg-type,return-value]  # Path() is a PosixPath here
register(PurePosixPath, "pathlib.PurePosixPath", lambda _, path: str(path), lambda _, state: PurePosixPath(state))
register(PureWindowsPath, "pathlib.PureWindowsPath", lambda _, path: str(path), lambda _, state: PureWindowsPath(state))
