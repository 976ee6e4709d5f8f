"""A `redun.ini` of another program: what is taken over, and what is remarked on."""

from __future__ import annotations

from pathlib import Path

import pytest

from redun.executor.config.records import ProjectSettings
from redun.executor.config.resolve import load_settings

#: What `redun init` of that program writes.
FRESH = """\
# redun configuration.

[backend]
db_uri = sqlite:///redun.db

[executors.default]
type = local
max_workers = 20

# [executors.batch]
# type = aws_batch
"""


def read(tmp_path: Path, text: str, **environ: str) -> ProjectSettings:
    """Returns the settings of a project with that file."""
    path = tmp_path / ".redun" / "redun.ini"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return load_settings(tmp_path, environ=environ)


def remarks(settings: ProjectSettings) -> dict[str, str]:
    """What is remarked on, by key."""
    return {remark.key: remark.text for remark in settings.remarks}


def test_a_fresh_one_means_the_defaults_and_nothing_is_said_of_it(tmp_path: Path):
    settings = read(tmp_path, FRESH)
    assert settings.remarks == ()
    assert settings.executors["default"][1:2] == ("threads",)
    assert settings.executors["default"].workers == 20


def test_local_executors_are_threads_or_processes(tmp_path: Path):
    text = """
[executors.a]
type = local
mode = process
start_method = fork
scratch = /tmp/x
memory = 4
check_valid = shallow

[executors.b]
type = local
mode = process
start_method = spawn

[executors.c]
max_workers = 2

[executors.d]
type = alias
target = a
"""
    settings = read(tmp_path, text)
    a, b, c = (settings.executors[name] for name in "abc")
    assert (a.type, a.start_method, a.options) == ("processes", "forkserver", {"memory": 4, "check_valid": "shallow"})
    assert (b.type, b.start_method) == ("processes", "spawn")
    assert (c.type, c.workers) == ("threads", 2)
    assert settings.executor("d") is a
    assert set(remarks(settings)) == {"executors.a.start_method", "executors.a.scratch"}


def test_limits_tags_and_context_are_taken_over(tmp_path: Path):
    text = """
[limits]
db = 10
GPU = 2

[tags]
project = acme
version = 3

[scheduler]
context = {"a": {"b": [1]}}
context_file = ../more.json
"""
    (tmp_path / "more.json").write_text('{"a": {"c": 2}}')
    settings = read(tmp_path, text)
    assert settings.limits == {"db": 10, "GPU": 2}
    assert settings.tags == {"project": "acme", "version": "3"}
    assert settings.context == {"a": {"c": 2, "b": [1]}}
    assert settings.remarks == ()


def test_references_are_to_the_section_the_defaults_or_a_variable(tmp_path: Path):
    text = """
[DEFAULT]
base = 2

[limits]
here = 3
a = ${here}
b = ${base}${base}
c = ${N}

[tags]
price = $$5 and $6
"""
    settings = read(tmp_path, text, N="7")
    assert settings.limits == {"here": 3, "a": 3, "b": 22, "c": 7}
    assert settings.tags == {"price": "$5 and $6"}


def test_what_has_no_meaning_here_is_remarked_on_and_never_read(tmp_path: Path):
    text = """
[backend]
db_uri = postgresql://${PG_USER}@host/db
automigrate = True

[scheduler]
setup_scheduler = setup.py::main
job_status_interval = 20
unheard_of = 1

[executors.batch]
type = aws_batch
image = ${IMAGE}
queue = q

[executors.short]
type = alias
target = batch

[repos.other]
config_dir = /x

[federated_tasks.f]
executor = batch

[strange]
key = ${ANYTHING}
"""
    settings = read(tmp_path, text)
    found = remarks(settings)
    assert set(found) == {
        "backend.db_uri",
        "backend.automigrate",
        "scheduler.setup_scheduler",
        "scheduler.job_status_interval",
        "scheduler.unheard_of",
        "executors.batch",
        "executors.short",
        "repos.other.config_dir",
        "federated_tasks.f.executor",
        "strange.key",
    }
    assert found["executors.batch"] == (
        "there is no type aws_batch; define [executors.batch] in redun.toml, as dask or futures"
    )
    assert found["executors.short"] == "executors.batch, which it stands for, is not there"
    assert {remark.origin.line for remark in settings.remarks if remark.key == "backend.automigrate"} == {4}
    assert set(settings.executors) == {"default", "threads", "processes", "process", "dask"}


def test_an_executor_that_redun_toml_defines_is_not_remarked_on(tmp_path: Path):
    (tmp_path / "redun.toml").write_text('[executors.batch]\ntype = "alias"\ntarget = "default"\n')
    settings = read(tmp_path, "[executors.batch]\ntype = aws_batch\n[executors.short]\ntype = alias\ntarget = batch\n")
    assert settings.remarks == ()
    assert settings.executor("short") is settings.executors["default"]


@pytest.mark.parametrize("text", ["", "# nothing\n", "\ufeff[limits]\ndb = 1\n", "[limits]\r\ndb = 1\r\n"])
def test_odd_files_are_read(tmp_path: Path, text: str):
    assert read(tmp_path, text).limits in ({}, {"db": 1})
