"""Every setting there is: its key, what it may be, what holds where nobody says anything, and what it is for."""

from typing import Any, Final, NamedTuple

from redun.executor.config import kinds
from redun.executor.config.kinds import Kind, choice

#: Stands in a key for a name that the user chooses.
ANY: Final = "*"

Path = tuple[str, ...]


class Key(NamedTuple):
    """One setting.

    Attributes:
        path: the tables that lead to it, and its name.
        kind: what it may be.
        meaning: what it is for, in a sentence.
        default: what holds where it is not set, as a file would say it; None: nothing.
        variable: the environment variable that sets it, or an empty text.
        types: the types of executors that take it; empty for other settings.
    """

    path: Path
    kind: Kind
    meaning: str
    default: Any = None
    variable: str = ""
    types: tuple[str, ...] = ()


#: Bodies that run at once in a pool of threads, where nobody says how many.
DEFAULT_THREADS: Final = 20
TYPES: Final = ("threads", "processes", "futures", "dask", "alias")
#: Executors that are there without being configured: name -> (type, target of an alias).
BUILT_IN: Final = {
    "default": ("threads", None),
    "threads": ("alias", "default"),
    "processes": ("processes", None),
    "process": ("alias", "processes"),
    "dask": ("dask", None),
}

_E: Final = ("executors", ANY)
_POOLS: Final = ("threads", "processes", "futures", "dask")
KEYS: Final[tuple[Key, ...]] = (
    Key(("store", "path"), kinds.PATH, "The store: as redun --store takes it.", None, "REDUN_STORE"),
    Key(
        ("store", "durability"),
        choice("normal", "durable"),
        "What a loss of power may take: the last commits (normal), or nothing (durable, slower).",
        "normal",
    ),
    Key((*_E, "type"), choice(*TYPES), "What runs the bodies of tasks that name it.", None, "", TYPES),
    Key(
        (*_E, "workers"),
        kinds.WHOLE,
        "Bodies that run at once: 20 in threads; in processes, and in a local cluster of Dask, one a core; in futures, "
        "as many as the pool has.",
        None,
        "",
        _POOLS,
    ),
    Key(
        (*_E, "start_method"),
        choice("forkserver", "spawn"),
        "How worker processes are started.",
        "forkserver",
        "",
        ("processes",),
    ),
    Key(
        (*_E, "factory"),
        kinds.FACTORY,
        "Makes a concurrent.futures.Executor (futures), or a cluster (dask).",
        None,
        "",
        ("futures", "dask"),
    ),
    Key((*_E, "arguments"), kinds.NAMED_TABLE, "What the factory is called with.", None, "", ("futures", "dask")),
    Key((*_E, "address"), kinds.TEXT, "A Dask scheduler that runs already: tcp://host:8786.", None, "", ("dask",)),
    Key(
        (*_E, "shares_files"),
        kinds.YES_NO,
        "Whether workers see the files of this machine. Those of futures, and of Dask on this machine, do.",
        None,
        "",
        ("futures", "dask"),
    ),
    Key((*_E, "target"), kinds.TEXT, "The executor that it is another name of.", None, "", ("alias",)),
    Key(
        (*_E, "options"),
        kinds.NAMED_TABLE,
        "Options of the tasks that it runs; weaker than what @task says.",
        None,
        "",
        _POOLS,
    ),
    Key(("limits", ANY), kinds.WHOLE, "How much of a named resource the jobs of a run may hold at once."),
    Key(("context_file",), kinds.PATH, "A JSON or TOML file with more of the context; [context] is stronger."),
    Key(("context",), kinds.TABLE, "Values that tasks ask for by name."),
    Key(("tags", ANY), kinds.TAG, "A tag of every execution. REDUN_USER and REDUN_PROJECT set `user` and `project`."),
    Key(
        ("files", "timeout"),
        kinds.WHOLE,
        "Seconds that the server of a remote file is waited for without a sign of life.",
        60,
    ),
    Key(
        ("files", ANY),
        kinds.TABLE,
        "What the library of a scheme (s3, gs, az, http, sftp, ...) is told, as its storage options in fsspec; ${NAME} "
        "in a text is an environment variable.",
    ),
    Key(("run", "remote"), kinds.TEXT, "A remote that runs ask for results that are not here: its name."),
    Key(
        ("run", "push"),
        kinds.YES_NO,
        "Whether runs give what they made to that remote (or origin).",
        False,
    ),
    Key(
        ("remotes", ANY, "url"),
        kinds.TEXT,
        "Where a remote is: a whole path, ssh://host/path, host:path or s3://bucket/prefix.",
    ),
    Key(
        ("remotes", ANY, "trust"),
        choice("provenance", "cache", "run"),
        "What is believed of it: its history; also that its results are right; also values that adapters make.",
        "provenance",
    ),
    Key(("code", "own_packages"), kinds.PACKAGES, "Packages whose code counts as yours, wherever they are installed."),
    Key(("prune", "keep_last"), kinds.NATURAL, "redun prune: so many of the newest executions stay."),
    Key(("prune", "keep_within"), kinds.DURATION, "redun prune: executions younger than that stay."),
    Key(("prune", "keep_tag"), kinds.TEXTS, "redun prune: executions with one of these tags stay: name or name=value."),
    Key(("gc", "max_size"), kinds.SIZE, "redun gc: the oldest executions are pruned until the rest fits."),
    Key(("gc", "keep_cache"), kinds.DURATION, "redun gc: results of younger pruned executions stay cached."),
    Key(("gc", "expire"), kinds.EXPIRY, "redun gc: what was swept longer ago is removed for good.", "7d"),
    Key(("display", "color"), choice("auto", "always", "never"), "When output is coloured.", "auto"),
)

#: Environment variable -> the setting that it sets.
VARIABLES: Final[dict[str, Path]] = {
    **{key.variable: key.path for key in KEYS if key.variable},
    "REDUN_JOBS": ("executors", "default", "workers"),
    "REDUN_USER": ("tags", "user"),
    "REDUN_PROJECT": ("tags", "project"),
}


def key_of(path: Path) -> Key | None:
    """Returns the setting at a path, or None: there is none, or the path is that of a table."""
    return next((key for key in KEYS if _fits(key.path, path)), None)


def is_table(path: Path) -> bool:
    """Returns whether settings lie below a path."""
    return any(len(key.path) > len(path) and _fits(key.path[: len(path)], path) for key in KEYS)


def names_below(path: Path) -> list[str]:
    """Returns the names that the table at a path takes; empty where the user chooses them."""
    below = [key.path[len(path)] for key in KEYS if len(key.path) > len(path) and _fits(key.path[: len(path)], path)]
    return [name for name in dict.fromkeys(below) if name != ANY]


def _fits(pattern: Path, path: Path) -> bool:
    return len(pattern) == len(path) and all(part in (ANY, name) for part, name in zip(pattern, path, strict=True))
