"""What runs expressions: `from redun.scheduler import Scheduler`."""

from redun.executor.scheduler import Scheduler

__all__ = ["Scheduler"]
