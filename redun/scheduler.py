"""What runs expressions, and decides how: `from redun.scheduler import Scheduler, catch, cond`."""

from redun.core.functional import catch, catch_all, cond, throw
from redun.core.scheduler_tasks import scheduler_task
from redun.executor.scheduler import Scheduler

__all__ = ["Scheduler", "catch", "catch_all", "cond", "scheduler_task", "throw"]
