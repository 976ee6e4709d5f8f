"""Tasks: `from redun.task import Task, task`."""

from redun.core.tasks import Task, get_task_registry, task

__all__ = ["Task", "get_task_registry", "task"]
