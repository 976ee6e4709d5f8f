"""What runs expressions, and decides how: `from redun.scheduler import Scheduler, catch, cond`."""

from redun.core.functional import catch, catch_all, cond, throw
from redun.core.handles import merge_handles
from redun.core.job_info import JobInfo
from redun.core.scheduler_tasks import scheduler_task
from redun.core.subworkflows import Thread, apply_tags, fork_thread, join_thread, subrun, with_export_options
from redun.executor.scheduler import Execution, Scheduler, get_current_scheduler, set_current_scheduler

__all__ = [
    "Execution",
    "JobInfo",
    "Scheduler",
    "Thread",
    "apply_tags",
    "catch",
    "catch_all",
    "cond",
    "fork_thread",
    "get_current_scheduler",
    "join_thread",
    "merge_handles",
    "scheduler_task",
    "set_current_scheduler",
    "subrun",
    "throw",
    "with_export_options",
]
