"""The walls of the house: who may import whom, and when. ARCHITECTURE is told in CONTRIBUTING.md; this holds it."""

from __future__ import annotations

import sys
from collections import defaultdict

import pytest

from tests.house.source_tree import FOLDERS, ROOT, Import, all_imports, imports, modules

FLOORS = {"redun.core": 1, "redun.store": 2, "redun.executor": 3, "redun.cli": 4, "redun": 5}

#: The order inside the core, line by line: a module imports only from lines above its own.
CORE_ORDER = """
    errors job_info cache_options limits version names normal_form ownership operations quantities tags
    codes digest namespace parameters project_files sources steering
    codec concealed frame scopes
    files.kept
    shapes expression_table forms
    array_forms
    table_forms
    history job_links kinds
    objects
    arrivals
    values display json_form replays uses
    handle_states
    decoding expressions static_uses class_bodies readings
    classes adapters.registry call_options files.memo files.atomic files.members files.written files.places
    files.kinds
    files.globs files.cloning files.remote.urls files.remote.sftp files.remote.validators
    files.remote.options
    files.remote.problems files.remote.patterns
    files.remote.connections
    files.remote.reading files.remote.writing
    files.remote.filesystem
    files.local
    files.filesystems
    files.copying files.archive
    files.kinds
    files.file
    files.sets
    files.encoding files.staging
    tasks
    scheduler_tasks wrapping
    functional context awaiting handles tools
    adapters.arrays adapters.builtin adapters.callables adapters.containers adapters.identifiers adapters.numbers
        adapters.paths adapters.pytz_zones adapters.texts adapters.times adapters.typings constants reduction secrets
        value_protocol
    adapters.arrow_types adapters.columns adapters.tensors
    adapters.arrow_tables adapters.polars_frames
    adapters.pandas_types
    adapters.pandas_frames
    quoting
    subworkflows
    code_uses
    fingerprint
    keys
"""

#: Imports under `if TYPE_CHECKING` that point up or back: for readers and type checkers, nothing at run time.
TYPING_ONLY = {
    ("redun.core.expressions", "redun.core.tasks"): "a call names its task, a task makes calls",
    ("redun.core.files.file", "redun.core.files.staging"): "a file is staged, what is staged is a file",
    ("redun.core.files.sets", "redun.core.files.staging"): "likewise",
}

#: Modules that import ours inside functions, and what start-up gains from it.
LATE = {
    "redun": "import redun loads nothing",
    "redun.core.files.filesystems": "most runs have local files only",
    "redun.core.files.encoding": "most values hold no files",
    "redun.core.files.file": "most files are not kept",
    "redun.core.files.sets": "likewise",
    "redun.cli.app": "only an error that is shown needs more",
    "redun.cli.cat_object": "help loads no store, and each kind of output only its printer",
    "redun.cli.context": "help and usage errors look for no store",
    "redun.cli.check": "help loads no executor",
    "redun.cli.config": "help loads no settings",
    "redun.cli.doctor": "help loads no store",
    "redun.cli.fs": "help copies nothing",
    "redun.cli.fsck": "help loads no store",
    "redun.cli.gc": "help loads no store",
    "redun.cli.pin": "help loads no store",
    "redun.cli.prune": "help loads no store",
    "redun.cli.backup": "help loads no store",
    "redun.cli.bundle": "help loads no store",
    "redun.cli.clone": "help loads no store",
    "redun.cli.serve": "help loads no store",
    "redun.store.sync.sync": "a remote on this machine needs no ssh",
    "redun.cli.report.command": "each form only its printer",
    "redun.cli.testing.plugin": "every run of pytest loads it, also where nothing of redun is tested",
    "redun.cli.convert": "help loads no store",
    "redun.cli.restore": "help loads no store",
    "redun.executor.memoize": "hardly any task has its outputs brought back",
    "redun.cli.tag": "help loads no store",
    "redun.cli.history_view": "most executions have no tags",
    "redun.cli.init": "help and usage errors look for no store",
    "redun.cli.filters": "the list of executions asks no index",
    "redun.cli.loading": "help of the commands loads no executor",
    "redun.cli.log": "help loads no store, and each view only its printer",
    "redun.cli.project": "a project without settings loads nothing of them",
    "redun.cli.progress": "a pipe draws nothing live",
    "redun.cli.queries": "lists of jobs and calls have no executions",
    "redun.cli.run_options": "few runs are given a file of context",
    "redun.cli.remotes_of": "most projects name no remotes in their settings",
    "redun.cli.repl": "help loads no store",
    "redun.cli.replay": "help loads no store",
    "redun.cli.results": "a run that prints nothing needs no printer",
    "redun.cli.run": "help of the command and usage errors load no executor",
    "redun.core.adapters.pandas_frames": "pandas goes without pyarrow",
    "redun.core.adapters.pandas_types": "pandas goes without pyarrow",
    "redun.executor.config.sources": "each form of file loads its reader",
    "redun.executor.hearing": "most runs have no scripts",
    "redun.executor.known": "hardly any explanation makes a key",
    "redun.executor.outside": "a run without files loads nothing of them",
    "redun.executor.pools.bodies": "most workers run no scripts",
    "redun.executor.pools.choice": "most runs have threads only",
    "redun.executor.replay": "few calls are of scripts or async tasks",
    "redun.executor.run": "most runs have threads only",
    "redun.executor.scheduler": "a program without settings loads nothing of them",
    "redun.executor.scripting.script": "a script that is answered from the store needs nothing that runs one",
    "redun.executor.telling": "most runs show no reasons and no values that cannot be made",
    "redun.store.indexes.opening": "an index of a store in memory loads no engine",
    "redun.store.locate": "finding where a store is does not open it",
    "redun.store.lookup_names": "few things have tags",
    "redun.store.name_access": "few stores have tags",
    "redun.store.object_access": "bytes are put and read without a codec of values",
    "redun.store.store": "a store in memory loads no engine, and a store is made once and opened often",
}

#: Libraries of others, by floor. The core's adapters name theirs only where a value of theirs has turned up.
LIBRARIES = {
    1: {"msgpack", "xxhash"},
    2: {"msgpack", "xxhash", "lmdb", "backports", "compression"},
    3: set(),
    4: {"click", "rich"},
    5: set(),
}
ADAPTED = {
    "redun.core.adapters.arrays": {"numpy"},
    "redun.core.adapters.arrow_tables": {"numpy", "pyarrow"},
    "redun.core.adapters.arrow_types": {"pyarrow"},
    "redun.core.adapters.columns": {"numpy"},
    "redun.core.adapters.pandas_frames": {"numpy", "pandas", "pyarrow"},
    "redun.core.adapters.pandas_types": {"numpy", "pandas"},
    "redun.core.adapters.polars_frames": {"numpy", "polars"},
    "redun.core.adapters.pytz_zones": {"pytz"},
    "redun.core.adapters.tensors": {"torch"},
}
#: What is loaded only where the library is there: carriers when a job wants them, the plugin by pytest.
CARRIERS = {
    "redun.executor.pools.dask_cluster": {"dask", "distributed"},
    "redun.executor.pools.guests": {"distributed"},
    "redun.core.files.remote.connections": {"fsspec", "aiohttp"},
    "redun.core.files.remote.sftp": {"fsspec", "paramiko"},
    "redun.core.files.remote.writing": {"fsspec"},
    "redun.store.sync.storage.bucket": {"boto3", "obstore"},
    "redun.store.sync.signing": {"cryptography"},
    "redun.cli.testing.plugin": {"pytest"},
    "redun.cli.notebook.extension": {"IPython"},
    "redun.cli.repl": {"IPython"},
}

#: Packages of the core, which do nothing.
PACKAGES = ("redun.core", "redun.core.adapters", "redun.core.files", "redun.core.files.remote")

KNOWN = modules()
IMPORTS = all_imports()
OURS = [found for found in IMPORTS if found.target.split(".")[0] == "redun"]


def floor(module: str) -> int:
    """Returns the floor of one of our modules."""
    return next(number for package, number in FLOORS.items() if module == package or module.startswith(f"{package}."))


def core_line(module: str) -> int:
    """Returns the line of a core module in the order."""
    indented = [line for line in CORE_ORDER.splitlines() if line.strip()]
    number = 0
    for line in indented:
        number += not line.startswith("        ")
        if module.removeprefix("redun.core.") in line.split():
            return number
    raise AssertionError(f"{module} has no place in the order of the core: give it one in CORE_ORDER")


def in_core(module: str) -> bool:
    """Returns whether it is a module of the core that does something: packages there import nothing."""
    return floor(module) == 1 and module not in PACKAGES


def test_there_is_something_to_look_at():
    assert {name.split(".")[1] for name in KNOWN if "." in name} >= {"core", "store", "executor", "cli"}
    assert len(OURS) > 50


def test_no_import_points_up_a_floor():
    assert [str(found) for found in OURS if floor(found.target) > floor(found.source)] == []


def test_modules_of_the_core_import_only_what_stands_above_them_in_the_order():
    wrong = [
        str(found)
        for found in OURS
        if in_core(found.source) and in_core(found.target) and core_line(found.target) >= core_line(found.source)
        if (found.source, found.target) not in TYPING_ONLY or found.where != "typing"
    ]
    assert wrong == []


def test_every_module_of_the_core_has_a_place_in_the_order():
    listed = {f"redun.core.{word}" for word in CORE_ORDER.split()}
    assert {name for name in KNOWN if in_core(name)} - listed == set()


def test_packages_of_the_core_import_nothing():
    assert [str(found) for found in OURS if found.source in PACKAGES] == []


def test_no_modules_import_each_other_in_a_ring():
    edges: dict[str, set[str]] = defaultdict(set)
    for found in OURS:
        if found.where != "typing" and found.target != found.source:
            edges[found.source].add(found.target)
    assert ring(edges) == []


def ring(edges: dict[str, set[str]]) -> list[str]:
    """Returns one ring of the graph, its first module again at its end, or an empty list."""
    done: set[str] = set()

    def walk(module: str, path: list[str]) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module not in done:
            for target in sorted(edges.get(module, ())):
                if found := walk(target, [*path, module]):
                    return found
            done.add(module)
        return []

    return next(filter(None, (walk(module, []) for module in sorted(edges))), [])


def test_a_ring_is_found():
    assert ring({"a": {"b", "d"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert ring({"a": {"b", "c"}, "b": {"c"}}) == []


def test_our_modules_are_imported_by_their_whole_name():
    bare = set(FOLDERS) - {"redun"}
    assert [str(found) for found in IMPORTS if found.target.split(".")[0] in bare or found.level] == []


def test_our_modules_are_imported_inside_a_function_only_where_start_up_gains_from_it():
    wrong = [str(found) for found in OURS if found.where == "function" and found.source not in LATE]
    assert wrong == [], "import it at the top, or say in LATE what start-up gains"


def test_no_exception_is_listed_that_nobody_needs():
    assert set(LATE) - {found.source for found in OURS if found.where == "function"} == set()
    assert set(TYPING_ONLY) - {(found.source, found.target) for found in OURS if found.where == "typing"} == set()
    assert sorted({word for word in CORE_ORDER.split() if f"redun.core.{word}" not in KNOWN}) == []


def test_each_floor_uses_only_its_own_libraries():
    def allowed(found: Import) -> set[str]:
        return LIBRARIES[floor(found.source)] | (ADAPTED | CARRIERS).get(found.source, set()) | {"redun"}

    wrong = [
        str(found)
        for found in IMPORTS
        if (root := found.target.split(".")[0]) not in sys.stdlib_module_names and root not in allowed(found)
    ]
    assert wrong == []


def test_adapters_of_libraries_are_loaded_only_when_a_value_turns_up():
    assert [
        str(found)
        for found in IMPORTS
        if found.target in ADAPTED and found.source not in ADAPTED and found.where != "typing"
    ] == []


@pytest.mark.parametrize("name", ["pickle", "marshal", "shelve", "cloudpickle", "dill"])
def test_nothing_is_ever_pickled(name: str):
    assert [str(found) for found in IMPORTS if found.target.split(".")[0].lstrip("_") == name] == []


def test_the_links_show_the_folders_as_one_package():
    for folder, package in FOLDERS.items():
        if package != "redun":
            link = ROOT / package.replace(".", "/")
            assert link.is_symlink()
            assert link.readlink().parts == ("..", folder)
            assert link.resolve() == ROOT / folder


def test_the_walk_sees_imports_wherever_they_stand(tmp_path):
    path = tmp_path / "sample.py"
    path.write_text(
        "import redun.core.errors\n"
        "from redun.core import limits\n"
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from redun.cli.app import main\n"
        "class C:\n    def f(self):\n        if True:\n            from redun.store import Store\n"
        "from . import x\n"
    )
    module = type(KNOWN["redun"])("sample", path)
    found = [(one.target, one.where, one.level) for one in imports(module, KNOWN) if one.target != "typing"]
    assert found == [
        ("redun.core.errors", "top", 0),
        ("redun.core.limits", "top", 0),
        ("redun.cli.app", "typing", 0),
        ("redun.store", "function", 0),
        ("", "top", 1),
    ]
