"""Tasks that come with redun: copying files and directories, and looking at a value on its way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from redun.core.errors import TaskError
from redun.core.files.file import File
from redun.core.files.sets import Dir
from redun.core.tasks import task

T = TypeVar("T")


@task(namespace="redun", version="1", config_args=["skip_if_exists"])
def copy_file(src_file: File, dest_path: str, skip_if_exists: bool = False) -> File:
    """Copies a file to a path or URL; one that ends with a slash names the directory that the copy goes to.

    Args:
        skip_if_exists: keeps a file that is there already, whatever it holds.
    """
    return src_file.copy_to(dest_path, skip_if_exists=skip_if_exists)


@task(namespace="redun", version="1", config_args=["skip_if_exists", "copy_options"])
def copy_files(
    src_files: Sequence[File],
    dest_paths: Sequence[str],
    skip_if_exists: bool = False,
    copy_options: Mapping[str, Any] | None = None,
) -> list[File]:
    """Copies each file to the path beside it, in jobs that run side by side.

    Args:
        copy_options: options of the task that copies one file, such as `{"executor": "processes"}`.

    Raises:
        TaskError: if there are not as many paths as files.
    """
    if len(src_files) != len(dest_paths):
        raise TaskError(
            f"copy_files: {len(src_files)} files, and {len(dest_paths)} paths for them",
            hint="give a path for each file",
        )
    one = copy_file.options(**copy_options) if copy_options else copy_file
    pairs = zip(src_files, dest_paths, strict=True)
    return [one(file, path, skip_if_exists=skip_if_exists) for file, path in pairs]


@task(namespace="redun", version="1", config_args=["skip_if_exists", "copy_options"])
def copy_dir(
    src_dir: Dir, dest_path: str, skip_if_exists: bool = False, copy_options: Mapping[str, Any] | None = None
) -> Dir:
    """Copies all files below a directory to another, in jobs that run side by side; returns that one.

    Files that lie in it beside the copies stay, and belong to what is returned.

    Args:
        copy_options: options of the task that copies one file.
    """
    files = src_dir.files()
    target = Dir(dest_path, hidden=src_dir.hidden)
    paths = [target.file(src_dir.rel_path(file.path)).path for file in files]
    copied = copy_files(files, paths, skip_if_exists=skip_if_exists, copy_options=copy_options)
    return _copied_dir(target.path, target.hidden, copied)


@task(namespace="redun", name="copied_dir", version="1")
def _copied_dir(path: str, hidden: bool, copies: Sequence[File]) -> Dir:
    """Returns the directory when the copies are in it."""
    return Dir(path, hidden=hidden)


@task(namespace="redun", version="1", cache=False)
def debug_task(value: T) -> T:
    """Stops in the debugger with a value on its way, and hands it on: `y = use(debug_task(x))`."""
    breakpoint()  # noqa: T100  it is what it is for
    return value
