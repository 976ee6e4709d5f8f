"""Tasks that come with redun: `from redun.tools import copy_file, copy_files, copy_dir`."""

from redun.core.tools import copy_dir, copy_file, copy_files, debug_task

__all__ = ["copy_dir", "copy_file", "copy_files", "debug_task"]
