"""Settings in files: where they are looked for, which one holds, and where each came from."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from redun.core import project_files
from redun.core.errors import ConfigError
from redun.core.project_files import CONFIG_VARIABLE, VARIABLE_NAMES, find_files, has_settings, named_files
from redun.executor.config.listing import rows
from redun.executor.config.records import GcSettings, Origin, ProjectSettings
from redun.executor.config.resolve import load_settings
from redun.executor.config.schema import KEYS, VARIABLES
from redun.executor.config.sources import given
from redun.store.gc.collect import EXPIRY_S

Load = Callable[..., ProjectSettings]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Writes files into a project and loads its settings from there."""
    monkeypatch.chdir(tmp_path)

    def write(
        files: Mapping[str, str], *, environ: Mapping[str, str] | None = None, start: str = "."
    ) -> ProjectSettings:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return load_settings(start, environ=environ)

    return write


def origin(settings: ProjectSettings, *path: str) -> tuple[str, int | None]:
    """The file's name and the line that a setting came from."""
    found = settings.entries[path].origin
    return os.path.basename(found.source), found.line


# -- where they are looked for ----------------------------------------------------------------------------------------


def test_a_project_without_files_has_the_defaults(load: Load):
    settings = load({})
    assert settings.files == ()
    assert settings.store == (None, "normal")
    assert {name: executor.type for name, executor in settings.executors.items()} == {
        "default": "threads",
        "threads": "alias",
        "processes": "processes",
        "process": "alias",
        "dask": "dask",
    }
    assert settings.executors["default"].workers == 20
    assert settings.executor("process") is settings.executors["processes"]
    assert settings.executor("nothing") is None
    assert (settings.limits, settings.context, settings.tags, settings.own_packages) == ({}, {}, {}, ())
    assert settings.gc == GcSettings(expire=EXPIRY_S)


def test_the_nearest_directory_that_has_any_is_the_project(load: Load, tmp_path: Path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert load({"redun.toml": "[limits]\ndb = 1\n"}, start="a/b").limits == {"db": 1}
    assert load({"a/pyproject.toml": "[tool.redun.limits]\ndb = 2\n"}, start="a/b").limits == {"db": 2}
    assert load({"a/b/.redun/redun.ini": "[limits]\ndb = 3\n"}, start="a/b").limits == {"db": 3}


def test_a_pyproject_that_says_nothing_about_us_is_passed_over(load: Load, tmp_path: Path):
    (tmp_path / "a").mkdir()
    files = {"a/pyproject.toml": "[project]\ndependencies = ['redun-core']\n", "redun.toml": "[limits]\ndb = 1\n"}
    assert load(files, start="a").limits == {"db": 1}


@pytest.mark.parametrize(
    "text",
    [
        "[tool.redun]\n",
        "[ tool . redun ]",
        "[tool.redun.limits]",
        '["tool"."redun"]',
        "[tool]\nredun = {}",
        "tool.redun.limits.db = 1",
        "tool = {redun = {}}",
        "[project]\nname = 'x'\n\n[tool.redun]",
    ],
)
def test_every_way_to_write_our_table_is_found(tmp_path: Path, text: str):
    (tmp_path / "pyproject.toml").write_text(text)
    assert find_files(tmp_path) == [tmp_path / "pyproject.toml"]


def test_a_directory_named_like_a_file_of_ours_is_none(tmp_path: Path):
    (tmp_path / "redun.toml").mkdir()
    (tmp_path / ".redun").write_text("/elsewhere\n")
    assert project_files.files_of(tmp_path) == []


def test_files_above_that_belong_to_a_stranger_are_refused(tmp_path: Path):
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    (tmp_path / "a").mkdir()
    (tmp_path / "redun.toml").write_text("")
    os.chown(tmp_path / "redun.toml", 12345, -1)
    assert find_files(tmp_path) == [tmp_path / "redun.toml"]
    with pytest.raises(ConfigError, match=r"is above the working directory and belongs to user 12345.*REDUN_CONFIG=/"):
        find_files(tmp_path / "a")


def test_a_named_place_is_read_instead_of_the_search(load: Load, tmp_path: Path):
    files = {
        "redun.toml": "[limits]\ndb = 1\n",
        "other/mine.toml": "[limits]\ndb = 2\n",
        "b/.redun/redun.ini": "[limits]\ndb=3",
    }
    load(files)
    for name, expected in [("other/mine.toml", 2), ("b", 3), ("b/.redun", 3), ("b/.redun/redun.ini", 3)]:
        assert load({}, environ={CONFIG_VARIABLE: name}).limits == {"db": expected}
        assert load_settings(tmp_path, named=name, environ={CONFIG_VARIABLE: "nowhere"}).limits == {"db": expected}
    assert load({}, environ={CONFIG_VARIABLE: os.devnull}).limits == {}
    assert load({}, environ={CONFIG_VARIABLE: ""}).limits == {"db": 1}


def test_a_named_place_that_holds_nothing_is_an_error(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"there is no .*/nowhere \(named by --config\)"):
        named_files(tmp_path / "nowhere", "--config")
    with pytest.raises(ConfigError, match=r"there are no settings in .* \(named by REDUN_CONFIG\)"):
        named_files(tmp_path, "REDUN_CONFIG")


def test_has_settings_knows_every_variable_but_that_of_the_store(tmp_path: Path):
    assert {*VARIABLE_NAMES, "REDUN_STORE"} == {*VARIABLES, CONFIG_VARIABLE}
    assert not has_settings(tmp_path, {"REDUN_JOBS": ""})
    assert has_settings(tmp_path, {"REDUN_JOBS": "1"})
    (tmp_path / "redun.toml").write_text("")
    assert has_settings(tmp_path, {})


# -- which one holds --------------------------------------------------------------------------------------------------


def test_each_place_is_stronger_than_the_next(load: Load, tmp_path: Path):
    files = {
        ".redun/redun.ini": "[tags]\na = 1\nb = 1\nc = 1\nuser = 1\nx = 1\n",
        "pyproject.toml": '[tool.redun.tags]\na = "2"\nb = "2"\nuser = "2"\nx = "2"\n',
        "redun.toml": '[tags]\na = "3"\nuser = "3"\nx = "3"\n',
    }
    settings = load(files, environ={"REDUN_USER": "ada"})
    assert settings.tags == {"a": '"3"', "b": '"2"', "c": "1", "user": "ada", "x": '"3"'}
    assert [file.name for file in settings.files] == ["redun.toml", "pyproject.toml", "redun.ini"]
    assert origin(settings, "tags", "a") == ("redun.toml", 2)
    assert origin(settings, "tags", "b") == ("pyproject.toml", 3)
    assert origin(settings, "tags", "c") == ("redun.ini", 4)
    assert origin(settings, "tags", "user") == ("REDUN_USER", None)
    word = given({("tags", "user"): "bob"}, "--user", tmp_path)
    assert load_settings(tmp_path, environ={"REDUN_USER": "ada"}, given=[word]).tags["user"] == "bob"


def test_an_executor_is_taken_whole_from_the_strongest_file(load: Load):
    files = {
        ".redun/redun.ini": "[executors.default]\ntype = local\nmode = process\nmax_workers = 3\n",
        "redun.toml": '[executors.default]\ntype = "threads"\n',
    }
    default = load(files).executors["default"]
    assert (default.type, default.workers) == ("threads", 20)


def test_a_variable_amends_the_executor_of_a_file(load: Load):
    files = {"redun.toml": '[executors.default]\ntype = "processes"\nstart_method = "spawn"\n'}
    default = load(files, environ={"REDUN_JOBS": "5"}).executors["default"]
    assert (default.type, default.start_method, default.workers) == ("processes", "spawn", 5)


def test_contexts_are_merged_item_by_item(load: Load):
    files = {
        "weak.json": '{"db": {"host": "weak", "port": 1}, "list": [1, 2], "table": {"x": 1}}',
        "redun.toml": 'context_file = "weak.json"\n[context]\nlist = [3]\ntable = 5\n[context.db]\nhost = "strong"\n',
        ".redun/redun.ini": '[scheduler]\ncontext = {"db": {"user": "u"}, "none": null}\n',
    }
    settings = load(files)
    assert settings.context == {
        "db": {"user": "u", "port": 1, "host": "strong"},
        "none": None,
        "list": [3],
        "table": 5,
    }
    assert origin(settings, "context", "db", "host") == ("redun.toml", 6)
    assert origin(settings, "context", "db", "port") == ("weak.json", None)


def test_an_empty_table_takes_nothing_from_a_context_and_a_value_all(load: Load):
    files = {"pyproject.toml": "[tool.redun.context.a]\nb = 1\n", "redun.toml": "[context]\na = {}\n"}
    assert load(files).context == {"a": {"b": 1}}
    assert load({"redun.toml": "[context]\na = false\n"}).context == {"a": False}
    files = {"pyproject.toml": "[tool.redun.context]\na = {}\n", "redun.toml": "[context.a]\nb = 1\n"}
    assert load(files).context == {"a": {"b": 1}}


def test_a_context_file_may_be_toml_and_counts_from_its_own_file(load: Load):
    files = {"a/pyproject.toml": '[tool.redun]\ncontext_file = "../c.toml"\n', "c.toml": "[x]\ny = 1979-05-27\n"}
    settings = load(files, start="a")
    assert str(settings.context["x"]["y"]) == "1979-05-27"
    assert origin(settings, "context", "x", "y") == ("c.toml", 2)


def test_a_relative_path_counts_from_the_place_that_says_it(load: Load, tmp_path: Path):
    (tmp_path / "a").mkdir()
    files = {"redun.toml": '[store]\npath = "data"\n'}
    assert load(files, start="a").store.path == tmp_path / "data"
    assert load({}, start="a", environ={"REDUN_STORE": "data"}).store.path == tmp_path / "a" / "data"
    assert load({"redun.toml": '[store]\npath = "~/x"\n'}).store.path == Path.home() / "x"


def test_quantities_are_read_as_on_the_command_line(load: Load):
    text = (
        '[prune]\nkeep_within = "2d"\nkeep_last = 0\nkeep_tag = ["a", "b=1"]\n[gc]\nmax_size = "2kB"\nexpire = "now"\n'
    )
    settings = load({"redun.toml": text})
    assert settings.prune == (0, 172_800, ("a", "b=1"))
    assert settings.gc == (2000, None, 0)


def test_all_settings_are_listed_set_or_not(load: Load):
    settings = load({"redun.toml": "[limits]\n'a b' = 2\n"})
    listed = {row.path: row for row in rows(settings)}
    assert {key.path for key in KEYS if "*" not in key.path and key.path != ("context",)} <= set(listed)
    assert listed["limits", "a b"].origin.line == 2
    assert listed["store", "path"] == (("store", "path"), None, Origin("default"))
    assert [row.path for row in rows(settings, ("limits",))] == [("limits", "a b")]
    assert rows(settings, ("limits", "none")) == [(("limits", "none"), None, Origin("default"))]
    with pytest.raises(ConfigError, match=r"limit is no setting \(did you mean limits\?\)"):
        rows(settings, ("limit",))
