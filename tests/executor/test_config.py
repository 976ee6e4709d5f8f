"""`Config`, and what a scheduler takes from it."""

from __future__ import annotations

import os
from typing import Any

import pytest

from redun import Scheduler, task
from redun.config import Config
from redun.core.errors import ConfigError
from redun.core.ownership import Ownership, set_own_packages
from redun.executor.config.config import settings_of
from redun.store import Store


@task(namespace="tests.config")
def one() -> int:
    return 1


def tags_of(store: Store) -> tuple[tuple[str, str], ...]:
    """The tags of the newest execution."""
    return next(store.executions())[1].tags


def test_our_tables_and_theirs_are_understood():
    ours = Config({"executors": {"default": {"type": "threads", "workers": 4}}, "limits": {"db": 2}})
    theirs = Config({"executors": {"default": {"type": "local", "max_workers": "4"}}, "limits": {"db": "2"}})
    dotted = Config({"executors.default": {"workers": 4}, "limits.db": 2})
    for config in (ours, theirs, dotted):
        assert config.settings.executors["default"].workers == 4
        assert config.settings.limits == {"db": 2}
        assert str(config.settings.entries["limits", "db"].origin) == "Config"


def test_what_means_nothing_here_is_remarked_on():
    config = Config({"backend": {"db_uri": "sqlite:///x.db"}, "executors": {"b": {"type": "k8s", "image": "x"}}})
    assert [remark.key for remark in config.settings.remarks] == ["backend.db_uri", "executors.b"]


def test_a_config_is_read_like_a_dict():
    tables = {"limits": {"db": 2}, "context": {"a": [1]}}
    config = Config(tables)
    assert config["limits"]["db"] == 2
    assert config.get("executors", {}) == {}
    assert (list(config), len(config)) == (["limits", "context"], 2)
    assert config.get_config_dict() == tables
    assert Config(config) == config
    assert Config().settings == Config({}).settings


def test_repr_tells_no_values():
    assert repr(Config({"context": {"password": "hunter2"}})) == "Config(context)"


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ([], "Config takes a dict, not list"),
        ({1: {}}, "a key of Config is 1; expected a text"),
        ({"limits": {"db": "x"}}, 'Config: limits.db is "x"; expected a whole number, 1 or more'),
        ({"limits": 1, "limits.db": 2}, "limits.db: limits is no table"),
        ({"limits": 1}, "Config: limits is 1; expected a table"),
        ({"limit": {}}, "Config: limit is no setting at the top (did you mean limits?)"),
        ({"context": {1: {"a": 2}}}, "a key of Config is 1; expected a text"),
        ({"executors": {"x": None}}, "Config: executors.x is None; expected a table"),
    ],
)
def test_a_mistake_says_what_was_expected(tables: Any, message: str):
    with pytest.raises(ConfigError) as caught:
        Config(tables)
    assert message in str(caught.value)


def test_values_of_a_context_may_be_anything():
    thing = object()
    assert Config({"context": {"thing": thing}}).settings.context["thing"] is thing


def test_a_scheduler_takes_workers_and_tags_from_settings():
    with Store.memory() as store:
        config = {"executors": {"default": {"workers": 3}}, "tags": {"project": "acme", "n": 3, "user": "ada"}}
        scheduler = Scheduler(store, config=config)
        assert scheduler.settings == settings_of(config)
        assert scheduler.execute(one(), tags=[("user", "bob")]).value == 1
        assert tags_of(store) == (("n", "3"), ("project", "acme"), ("user", "bob"))


def test_a_scheduler_without_settings_has_none():
    with Store.memory() as store:
        assert Scheduler(store).settings is None
        assert Scheduler(store, config=Config()).run(one()) == 1
        assert tags_of(store) == ()


def test_own_packages_of_settings_count_as_the_users():
    try:
        Scheduler(config={"code": {"own_packages": ["msgpack"]}})
        import msgpack

        assert Ownership("tests").owns(msgpack)
    finally:
        set_own_packages(())


def test_settings_are_found_from_where_the_program_is(tmp_path: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert Config({"store": {"path": "data"}}).settings.store.path == tmp_path / "data"
    assert os.getcwd() == str(tmp_path)
