"""The version of the distribution, in the one place where it is written: the build, the command line and the records
of executions read it from here. Asking the installed metadata for it would cost a start-up more than all the rest."""

from __future__ import annotations

from typing import Final

VERSION: Final = "0.1.0"
