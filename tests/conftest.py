"""What holds for every test: how hard Hypothesis tries, and that the caller's environment does not reach us."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

# `ci` finds what it finds in every run alike; `torture` looks for more: `pytest --hypothesis-profile torture`.
# How fast examples are made tells of the machine, so it fails no test.
_ANY_PACE = [HealthCheck.too_slow]
settings.register_profile(
    "ci",
    derandomize=True,
    max_examples=40,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=_ANY_PACE,
)
settings.register_profile("torture", max_examples=3000, deadline=None, print_blob=True, suppress_health_check=_ANY_PACE)
settings.load_profile("ci")

for _name in [name for name in os.environ if name.startswith("REDUN_")]:
    del os.environ[_name]
for _name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"):
    os.environ.pop(_name, None)

# what is started in the background of a script ignores interrupts, and so would all commands that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _ipython_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Kernels and prompts read no settings of the user, and share no history, which is a database."""
    os.environ["IPYTHONDIR"] = str(tmp_path_factory.mktemp("ipython"))
