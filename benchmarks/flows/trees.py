"""Tasks that take many files: as one set, as one directory, as a value each."""

from __future__ import annotations

from redun import Dir, File, task
from redun.file import FileSet

redun_namespace = "bench_trees"


@task()
def count(files: FileSet) -> int:
    """Asks nothing of the files: what it costs is to know that they are as they were."""
    return len(files.files())


@task()
def count_each(files: list[File]) -> int:
    return len(files)


@task()
def as_dir(path: str) -> int:
    return count(Dir(path))


@task()
def as_set(path: str) -> int:
    return count(FileSet(f"{path}/**/*.txt"))


@task()
def as_files(path: str) -> int:
    return count_each(FileSet(f"{path}/**/*.txt").files())
