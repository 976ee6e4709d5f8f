"""The environment of the other stores' libraries. What cannot be installed is left out, and said so."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

from benchmarks.peer import cache_directory


def environment(packages: Collection[str], path: Path | None = None) -> tuple[Path, dict[str, str]]:
    """Returns the interpreter of the environment, made where it is missing, and package -> why pip could not bring it.

    Raises:
        subprocess.CalledProcessError: if not even an empty environment can be made.
    """
    where = path or cache_directory() / f"stores-py{sys.version_info[0]}.{sys.version_info[1]}"
    python = where / "bin" / "python"
    if packages and not python.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(where)], check=True)
    missing = {}
    for package in sorted(set(packages)):
        done = where / f"installed-{package}"
        if done.exists():
            continue
        print(f"installing {package} in {where}", file=sys.stderr, flush=True)
        command = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", package]
        told = subprocess.run(command, check=False, capture_output=True, text=True)
        if told.returncode:
            missing[package] = (told.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        else:
            done.touch()
    return python, missing
