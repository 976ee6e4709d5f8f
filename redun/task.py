"""Tasks: `from redun.task import Task, task`."""

from redun.core.cache_options import CacheCheckValid, CacheResult, CacheScope
from redun.core.job_info import JobInfo
from redun.core.scheduler_tasks import SchedulerTask, scheduler_task
from redun.core.tasks import PartialTask, Task, get_task_registry, task
from redun.core.wrapping import wraps_task

__all__ = [
    "CacheCheckValid",
    "CacheResult",
    "CacheScope",
    "JobInfo",
    "PartialTask",
    "SchedulerTask",
    "Task",
    "get_task_registry",
    "scheduler_task",
    "task",
    "wraps_task",
]
