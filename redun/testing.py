"""For tests of workflows: `from redun.testing import assert_cached, assert_ran`, with the fixture `redun_scheduler`."""

from redun.cli.testing.checks import RecordingScheduler, assert_cached, assert_ran

__all__ = ["RecordingScheduler", "assert_cached", "assert_ran"]
