"""`python -m redun` is the command `redun`."""

from __future__ import annotations

from redun.cli.app import main

if __name__ == "__main__":
    raise SystemExit(main())
