"""Settings as the rest of redun reads them: typed, frozen, each with where it came from."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from redun.core.files.remote.options import FileOptions


class Origin:
    """Where a setting came from. Lines are looked for when somebody asks: hardly anybody does.

    Attributes:
        source: the path of a file, the name of an environment variable, an option, or `default`.
    """

    __slots__ = ("_line", "source")

    def __init__(self, source: str, line: int | Callable[[], int | None] | None = None) -> None:
        self.source = source
        self._line = line

    @property
    def line(self) -> int | None:
        """The line in that file, if one is known."""
        if callable(self._line):
            self._line = self._line()
        return self._line

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Origin) and (self.source, self.line) == (other.source, other.line)

    def __hash__(self) -> int:
        return hash(self.source)

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"

    def __repr__(self) -> str:
        return f"Origin({self})"


class Entry(NamedTuple):
    """One setting as it was written: `raw` in the file, `value` after it was read."""

    raw: Any
    value: Any
    origin: Origin


class Remark(NamedTuple):
    """A setting of another program's file that has no meaning here: `text` says why, and what to do."""

    key: str
    text: str
    origin: Origin


class StoreSettings(NamedTuple):
    """The store: where it is, None where it is to be searched for, and what a loss of power may take."""

    path: Path | None = None
    durability: Literal["normal", "durable"] = "normal"


class ExecutorSettings(NamedTuple):
    """What runs the bodies of tasks that name it.

    Attributes:
        name: what tasks call it.
        type: `threads`, `processes`, `futures`, `dask` or `alias`.
        workers: bodies that run at once; None: one a core (or whatever the pool or the cluster has).
        start_method: of processes.
        factory: what makes the pool (futures) or the cluster (dask): `package.module:name`, or from a program the
            function itself.
        arguments: what the factory is called with.
        address: a Dask scheduler that runs already.
        shares_files: whether workers see the files of this machine; None: those of `futures`, and of a local Dask
            cluster, do.
        target: the executor that an alias stands for.
        options: options of tasks, weaker than what `@task` says.
        origin: where it was set.
    """

    name: str
    type: str
    origin: Origin
    workers: int | None = None
    start_method: str = "forkserver"
    factory: str | Callable[..., Any] | None = None
    arguments: Mapping[str, Any] = {}
    address: str | None = None
    shares_files: bool | None = None
    target: str | None = None
    options: Mapping[str, Any] = {}


class RunSettings(NamedTuple):
    """What runs do where they are not told: the remote that they ask, and whether they push to it."""

    remote: str | None = None
    push: bool = False


class RemoteSettings(NamedTuple):
    """Where a remote is, and what is believed of it: `provenance`, `cache` or `run`."""

    url: str
    trust: Literal["provenance", "cache", "run"] = "provenance"


class PruneSettings(NamedTuple):
    """What `redun prune` keeps where it is not told; `keep_within` in seconds."""

    keep_last: int | None = None
    keep_within: int | None = None
    keep_tag: tuple[str, ...] = ()


class GcSettings(NamedTuple):
    """What `redun gc` does where it is not told: bytes, seconds, seconds."""

    max_size: int | None = None
    keep_cache: int | None = None
    expire: int = 7 * 86_400


class ProjectSettings(NamedTuple):
    """All settings of a project.

    Attributes:
        store: where results are kept.
        executors: by name; those that are built in are always there. Every alias leads to one that is none.
        limits: capacity of each named resource. One that is not named here has capacity 1.
        context: what tasks ask for by name.
        tags: of every execution.
        own_packages: packages whose code counts as the user's own.
        run: what runs do where they are not told.
        remotes: other stores, by name; those that a store has noted itself are stronger.
        prune, gc: what these commands do where they are not told.
        color: `auto`, `always` or `never`.
        storage: what the libraries of remote files are told, by scheme, and how long servers are waited for.
        entries: every setting that was set, by its path, and where.
        files: what was read, the strongest first.
        remarks: settings that were read and have no meaning here.
    """

    store: StoreSettings
    executors: Mapping[str, ExecutorSettings]
    limits: Mapping[str, int]
    context: Mapping[str, Any]
    tags: Mapping[str, str]
    own_packages: tuple[str, ...]
    run: RunSettings
    remotes: Mapping[str, RemoteSettings]
    prune: PruneSettings
    gc: GcSettings
    color: str
    storage: FileOptions
    entries: Mapping[tuple[str, ...], Entry]
    files: tuple[Path, ...]
    remarks: tuple[Remark, ...]

    def executor(self, name: str) -> ExecutorSettings | None:
        """Returns the executor of a name, behind any alias, or None."""
        found = self.executors.get(name)
        while found is not None and found.target is not None:
            found = self.executors[found.target]
        return found
