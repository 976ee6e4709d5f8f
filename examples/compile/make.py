"""Two programs in C that share a library, built with gcc: what runs again is what an edit reaches."""

import subprocess

from redun import File, task

redun_namespace = "redun.examples.compile"

PROGRAMS = {"hello": ["hello.c", "lib.c"], "goodbye": ["goodbye.c", "lib.c"]}


def gcc(*words: str) -> str:
    """What gcc prints; an error of gcc is an error of the task."""
    return subprocess.run(["gcc", "-Wall", "-O2", *words], check=True, stdout=subprocess.PIPE, text=True).stdout


@task()
def headers(source: File) -> list[File]:
    """The headers of ours that a source includes, as the preprocessor finds them."""
    _, _, names = gcc("-MM", source.path).replace("\\\n", " ").partition(":")
    return [File(name) for name in names.split() if name != source.path]


@task()
def compile_source(source: File, includes: list[File]) -> File:
    """An object file. Its name follows from the source's, so that two programs find the same one."""
    target = File(source.path.removesuffix(".c") + ".o")
    gcc("-c", source.path, "-o", target.path)
    return target


@task()
def link(name: str, objects: list[File]) -> File:
    gcc(*[file.path for file in objects], "-o", name)
    return File(name)


@task()
def program(name: str, sources: list[File]) -> File:
    return link(name, [compile_source(source, headers(source)) for source in sources])


@task()
def main() -> list[File]:
    return [program(name, [File(path) for path in sources]) for name, sources in PROGRAMS.items()]
