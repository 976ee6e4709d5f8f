"""Measurements of weather stations, worked on by the tools of a shell."""

from redun import File, script, task
from redun.file import FileSet
from redun.scripting import sh

redun_namespace = "redun.examples.scripts"


@task(script=True)
def count(data: File) -> str:
    """How many measurements there are: what the command prints is the value of the task."""
    return sh("tail -n +2 {data} | wc -l", data=data)


@task()
def warmest_first(data: File) -> File:
    """Sorts in a directory of its own, where names are short and nothing stays behind."""
    return script(
        """
        head -n 1 data.csv > sorted.csv
        tail -n +2 data.csv > rows.csv
        sort -t , -k 2,2nr rows.csv >> sorted.csv
        """,
        tempdir=True,
        inputs=[data.stage("data.csv")],
        outputs=File(f"sorted/{data.basename()}").stage("sorted.csv"),
    )


@task()
def extremes(data: File) -> dict[str, bytes | File]:
    """Prints the warmest and the coldest day, and puts those between into a file: both are results."""
    between = File(f"between/{data.basename()}")
    command = sh(
        """
        mkdir -p between
        sed -n '2p; $p' {data}
        sed '1,2d; $d' {data} > {between}
        """,
        data=data,
        between=between,
    )
    return script(command, inputs=[data], outputs={"printed": File("-"), "between": between})


@task()
def station(data: File) -> dict:
    return {"days": count(data), "extremes": extremes(warmest_first(data))}


@task()
def main(data: FileSet = FileSet("data/*.csv")) -> dict[str, dict]:
    return {file.basename(): station(file) for file in data}


@task(script=True)
def frost(data: File) -> str:
    """How many days were below zero. Where there was none, `grep` finds nothing, and that is a failure to it."""
    return sh("grep ',-' {data} | wc -l", data=data)
