"""The environment of the system of the seed, made when it is first asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

VERSION: Final = "0.44.1"
_PACKAGES: Final = (f"redun=={VERSION}", "joblib", "numpy")


def cache_directory() -> Path:
    """Returns the directory that keeps environments between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "redun-core-benchmarks"


def environment(path: Path | None = None) -> Path:
    """Returns the interpreter of the environment, made with pip from the package index where it is missing.

    Raises:
        subprocess.CalledProcessError: if pip cannot install it.
    """
    name = f"redun-{VERSION}-py{sys.version_info[0]}.{sys.version_info[1]}"
    where = path or cache_directory() / name
    python = where / "bin" / "python"
    done = where / "installed"
    if not done.exists():
        print(f"making {where} with {', '.join(_PACKAGES)}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(where)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *_PACKAGES], check=True, stdout=sys.stderr)
        done.write_text("\n".join(_PACKAGES) + "\n")
    return python
