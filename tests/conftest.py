"""What holds for every test: how hard Hypothesis tries, and that the caller's environment does not reach us."""

from __future__ import annotations

import os
import signal

from hypothesis import HealthCheck, settings

# `ci` finds what it finds in every run alike; `torture` looks for more: `pytest --hypothesis-profile torture`.
settings.register_profile("ci", derandomize=True, max_examples=40, deadline=None, database=None, print_blob=True)
settings.register_profile(
    "torture", max_examples=3000, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ci")

for _name in [name for name in os.environ if name.startswith("REDUN_")]:
    del os.environ[_name]
for _name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"):
    os.environ.pop(_name, None)

# what is started in the background of a script ignores interrupts, and so would all commands that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
