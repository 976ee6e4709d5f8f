"""Why jobs were not answered from the cache: told while they run, and afterwards from the store alone."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from redun.core.digest import Digest
from redun.core.json_form import record_to_json
from redun.core.limits import STALE_NAMED
from redun.core.objects import TaskRecord, Use, Why
from redun.executor.code_changes import code_changes
from redun.executor.known import known_in
from redun.executor.reasons import Miss, Reason, Reasons, Site
from redun.store import Store
from redun.store.gc.collect import GcOptions
from redun.store.gc.retention import KeepRules
from tests.executor.histories import History, history_in

TASKS = """
from dataclasses import dataclass

RATE = 3
CONFIG = {"lr": 0.1, "steps": [1, 2]}

def helper(x):
    return x * RATE

@dataclass
class Model:
    size: int
    def double(self):
        return self.size * 2

@task()
def scale(x):
    # a comment
    return helper(x)

@task()
def train(cfg, data=0):
    return CONFIG["lr"]

@task()
def make():
    return Model(3)

@task()
def use(model):
    return model.double()

@task()
def write(text):
    file = File("out.txt")
    file.write(text)
    return file

@task()
def main(lr=0.1):
    return [scale(2), train({"lr": lr, "deep": [1, {"k": "v"}]}), use(make()), write("hi")]
"""


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[History]:
    monkeypatch.chdir(tmp_path)
    with history_in(tmp_path) as history:
        yield history


def told(history: History, old: str, new: str) -> dict[str, str]:
    """Runs the tasks, edits their text, and returns the line of each job that then ran."""
    history.run(TASKS)
    assert old in TASKS
    history.run(TASKS.replace(old, new))
    return history.told


@pytest.mark.parametrize(
    ("old", "new", "task", "reason"),
    [
        ("x * RATE", "x + RATE", "scale", "code changed: function w.helper"),
        ("RATE = 3", "RATE = 4", "scale", "code changed: constant w.RATE: 3 -> 4"),
        ('"lr": 0.1', '"lr": 0.2', "train", "code changed: constant w.CONFIG['lr']: 0.1 -> 0.2"),
        ("return helper(x)", "return helper(x) + 1", "scale", "code changed: its own text"),
        ("* 2", "* 5", "use", "code changed: w.Model, which an argument is made of"),
        ("* 2", "* 5", "make", "code changed: class w.Model"),
        ("@task()\ndef scale", "@task(version=2)\ndef scale", "scale", "code changed: what counts as its code: "),
        ("def train(cfg, data=0)", "def train(cfg, n=1)", "train", "code changed: its own text; argument changed: "),
        ("lr=0.1", "lr=0.2", "train", "argument changed: args['cfg']['lr']: 0.1 -> 0.2"),
        ('"v"', '"w"', "train", "argument changed: args['cfg']['deep'][1]['k']: 'v' -> 'w'"),
    ],
)
def test_an_edit_is_named(history: History, old: str, new: str, task: str, reason: str) -> None:
    lines = told(history, old, new)
    assert lines[task].startswith(reason)
    assert history.explained()[task].text() == lines[task]


def test_of_the_classes_of_an_argument_those_that_changed_are_named(history: History) -> None:
    text = (
        "from dataclasses import dataclass\n"
        "@dataclass\nclass One:\n    n: int\n    def get(self): return self.n + 1\n"
        "@dataclass\nclass Two:\n    one: One\n    def get(self): return self.one.get() + 1\n"
        "@task()\ndef take(two): return two.get()\n@task()\ndef main(): return take(Two(One(1)))\n"
    )
    history.run(text)
    history.run(text.replace("self.n + 1", "self.n + 2"))
    assert history.told["take"] == "code changed: w.One, which an argument is made of"
    assert history.explained_all() == history.reasons
    history.run(text.replace("self.n + 1", "self.n + 3").replace("get() + 1", "get() + 4"))
    assert history.told["take"].startswith("code changed: w.Two, which an argument is made of; w.One, which")


FAN = """
@task()
def first(n):
    return n + 1

@task()
def second(n, scale):
    return n * scale

@task()
def main(scale=1):
    return [second(first(n), scale) for n in range(200)]
"""


def test_of_many_calls_of_an_edited_task_each_is_compared_with_its_own_earlier_one(history: History) -> None:
    history.run(FAN)
    history.run(FAN.replace("n + 1", "n + 1000"))
    assert history.reasons["first"] == ["code changed: its own text"] * 200
    assert sorted(history.reasons["second"]) == sorted(
        f"argument changed: args['n']: {n + 1} -> {n + 1000}" for n in range(200)
    )
    assert history.explained_all() == history.reasons


def test_of_many_calls_below_a_caller_that_ran_each_is_compared_with_the_one_at_its_place(history: History) -> None:
    history.run(FAN)
    history.run(FAN, 3)
    assert history.reasons["main"] == ["argument changed: args['scale']: 1 -> 3"]
    assert history.reasons["second"] == ["argument changed: args['scale']: 1 -> 3"] * 200
    assert history.explained_all() == history.reasons


def test_a_call_more_than_the_caller_made_before_is_told_as_that(history: History) -> None:
    text = FAN.replace("for n in range(200)]", "for n in range(8)] + [last(0)]") + "@task()\ndef last(n): return n\n"
    history.run(text)
    history.run(text.replace("range(8)", "range(9)").replace("last(0)", "last(1)"))
    assert history.reasons["last"] == ["argument changed: args['n']: 0 -> 1"]
    for task in ("first", "second"):
        (reason,) = history.reasons[task]
        assert reason.startswith("one more call of it than before; compared with the nearest: args['n']: ")
    assert history.explained_all() == history.reasons


def test_a_caller_of_many_is_read_once(history: History) -> None:
    history.run(FAN)
    (earlier,) = (row.call for row in history.rows().values() if history.name(row) == "main")
    assert earlier is not None
    history.run(FAN, 3)
    read: list[Digest] = []

    def fetch(digest: Digest) -> tuple[str, Any]:
        read.append(digest)
        return history.store.get(digest)

    reasons = Reasons(fetch, known_in(history.store))
    miss = history.miss(history.rows()["second"])
    for place in range(1, 400, 2):
        assert reasons.reason(miss._replace(site=Site(earlier, place))).why is Why.ARGUMENT
    assert read.count(earlier) == 1


def test_a_comment_is_no_edit(history: History) -> None:
    assert told(history, "# a comment", "# another\n\n") == {}


def test_the_first_run_has_no_earlier_calls(history: History) -> None:
    history.run(TASKS)
    assert set(history.told.values()) == {"no earlier call of this task"}


def test_changed_code_is_shown_as_a_diff_of_what_counts(history: History) -> None:
    told(history, "x * RATE", "x + RATE  # sum")
    (change,) = history.explained()["scale"].code
    assert (change.what, change.name, change.verb) == ("function", "w.helper", "changed")
    assert change.diff[:3] == ("--- earlier", "+++ now", "@@ -1,2 +1,2 @@")
    assert change.diff[3:] == (" def helper ( x ) :", "-    return x * RATE", "+    return x + RATE")


def test_helpers_that_come_and_go_are_named(history: History) -> None:
    lines = told(history, "return helper(x)", "return other(x)\n\ndef other(x):\n    return x\n")
    assert lines["scale"] == (
        "code changed: its own text; constant w.RATE is gone: 3; function w.helper is gone; and 1 more"
    )
    changes = {change.name: change for change in history.explained()["scale"].code}
    assert changes["w.other"].diff[3:] == ("+def other ( x ) :", "+    return x")
    assert changes["w.other"].verb == "added"
    assert changes["w.RATE"].old == "3"


def test_a_new_parameter_is_new_and_one_that_is_gone_is_gone(history: History) -> None:
    told(history, "def train(cfg, data=0)", "def train(cfg, n=1)")
    assert [change.text() for change in history.explained()["train"].arguments] == [
        "args['n'] is new",
        "args['data'] is gone",
    ]


# -- files ------------------------------------------------------------------------------------------------------------


def test_a_result_that_was_deleted_is_missing(history: History) -> None:
    history.run(TASKS)
    Path("out.txt").unlink()
    history.run(TASKS)
    assert history.told == {"write": "its earlier result does not hold: out.txt is missing (was 8f434346)"}
    assert history.explained()["write"].text() == history.told["write"]
    (file,) = history.explained()["write"].files
    assert (file.path, file.state, file.new) == ("out.txt", "missing", None)


def test_a_result_that_was_overwritten_has_other_content(history: History) -> None:
    history.run(TASKS)
    Path("out.txt").write_text("something else")
    history.run(TASKS)
    assert history.told["write"] == "its earlier result does not hold: content of out.txt: 8f434346 -> f41f3fa6"
    assert history.explained()["write"].text() == history.told["write"]


def test_an_input_that_came_to_be_was_missing(history: History) -> None:
    text = "@task()\ndef main(): return [File('in.txt')]"
    history.run(text)
    Path("in.txt").write_text("1")
    history.run(text)
    assert history.told["main"] == "its earlier result does not hold: content of in.txt: missing -> 6b86b273"
    assert history.explained()["main"].text() == history.told["main"]


def test_a_file_that_cannot_be_read_is_told_as_that(history: History) -> None:
    text = "@task()\ndef main(): return [File(name) for name in ('in.txt', 'other.txt')]"
    for name in ("in.txt", "other.txt"):
        Path(name).write_text("1")
    history.run(text)
    Path("in.txt").unlink()
    Path("in.txt").mkdir()
    history.run(text)
    assert history.told["main"] == "its earlier result does not hold: in.txt could not be read (was 6b86b273)"


def test_of_several_files_those_that_are_not_as_they_were_are_named(history: History) -> None:
    text = """
@task()
def main():
    files = [File(f"{n:02}") for n in range(20)]
    for file in files:
        file.write(file.path)
    return {"files": files}
"""
    history.run(text)
    for names, more in [(["07"], ""), (["03", "07"], ""), (["02", "03", "04", "05"], "; and 1 more")]:
        for name in names:
            Path(name).unlink()
        history.run(text)
        files = [f"{name} is missing (was {sha256(name.encode()).hexdigest()[:8]})" for name in names[:3]]
        assert history.told["main"] == f"its earlier result does not hold: {'; '.join(files)}{more}"
        assert history.explained()["main"].text() == history.told["main"]
    for number in range(20):
        Path(f"{number:02}").unlink()
    history.run(text)
    assert history.told["main"].endswith("; and many more")
    assert len(history.explained()["main"].files) == STALE_NAMED


def test_an_input_that_changed_is_a_changed_argument(history: History) -> None:
    text = """
@task()
def read(files):
    return files["in"].read()

@task()
def main(n):
    return read({"in": File("in.txt")})
"""
    Path("in.txt").write_text("1")
    history.run(text, 1)
    Path("in.txt").write_text("2")
    history.run(text, 2)
    assert history.told["read"] == ("argument changed: args['files']['in']: content of in.txt: 6b86b273 -> d4735e3a")
    assert history.explained()["read"].text() == history.told["read"]


# -- the cache is off, or of no use -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("@task(cache=False)\ndef f(): return 1\n@task()\ndef main(): return f()", "cache=False in @task"),
        (
            "@task()\ndef f(): return 1\n@task()\ndef main(): return f.options(cache=False)()",
            "cache=False in the options of the call",
        ),
        ("@task(cache_scope='CSE')\ndef f(): return 1\n@task()\ndef main(): return f()", "cache_scope='CSE' in @task"),
    ],
)
def test_what_switched_the_cache_off_is_told(history: History, text: str, reason: str) -> None:
    history.run(text)
    history.run(text)
    assert history.told["f"] == f"the cache is off for this call: {reason}"
    afterwards = reason if "of the call" in reason else "an option of the task"  # the decorator is not in the history
    assert history.explained_all()["f"] == [f"the cache is off for this call: {afterwards}"]


def test_a_run_without_the_cache_says_so(history: History) -> None:
    history.run(TASKS)
    history.run(TASKS, cache=False)
    assert set(history.told.values()) == {"the cache is off for this run"}


def test_code_that_cannot_be_verified_says_why(history: History) -> None:
    history.run("exec('def f(x):\\n    return x')\nf = task()(f)\n@task()\ndef main(): return f(1)")
    assert history.told["f"].startswith("its code cannot be verified: ")
    assert len(history.told["f"]) > len("its code cannot be verified: ")
    assert history.explained()["f"].text() == history.told["f"]


def test_what_failed_last_time_tells_the_error(history: History) -> None:
    text = "@task()\ndef main(): raise ValueError('no such thing')"
    history.run(text)
    history.run(text)
    assert history.told["main"] == "it failed last time: ValueError('no such thing')"


def test_a_result_whose_class_is_gone_names_it(history: History) -> None:
    text = "import dataclasses\n@dataclasses.dataclass\nclass {0}: n: int\n@task(version=1)\ndef main(): return {0}(1)"
    history.run(text.format("Before"))
    history.run(text.format("After"))
    assert history.told["main"] == "its earlier result cannot be read by the code of now: it needs w.Before"


# -- from the store alone ---------------------------------------------------------------------------------------------


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.memory() as store:
        yield store


@pytest.mark.parametrize("why", list(Why))
def test_every_reason_has_a_line_even_where_nothing_else_is_stored(store: Store, why: Why) -> None:
    missing = Digest(b"m" * 16)
    reason = Reasons(store.get, known_in(store)).reason(Miss(why, missing, missing, (missing,)))
    assert reason.text()
    assert "\n" not in reason.text()
    assert record_to_json(reason)["why"] == why.name.lower()


def put(store: Store, *uses: Use, **fields: object) -> Digest:
    return store.put("task", TaskRecord("n.f", "closure", uses=uses)._replace(**fields).payload())


def changed(store: Store, old: Digest, new: Digest) -> list[str]:
    return [change.text() for change in code_changes(old, new, store.get)]


def test_uses_that_are_no_code_are_told_by_what_is_known_of_them(store: Store) -> None:
    old = put(store, Use("distribution", "numpy", None, "1.0"), Use("task", "n.g", None, "(a)"))
    new = put(store, Use("distribution", "numpy", None, "2.0"), Use("task", "n.g", None, "(a, b)"))
    assert changed(store, old, new) == ["task n.g: (a) -> (a, b)", "distribution numpy: 1.0 -> 2.0"]


def test_what_belongs_to_the_task_itself_is_told(store: Store) -> None:
    old = put(store, version="1", code="version", params=(("a", 1),), interface=(("nout", "2"),))
    new = put(store, version="2", code="version", params=(("a", 1), ("b", 1)), interface=(("script", "True"),))
    assert changed(store, old, new) == [
        "version: '1' -> '2'",
        "parameters: (a) -> (a, b)",
        "option nout: '2' -> none",
        "option script: none -> 'True'",
    ]
    value = store.put("value", b"\x07")
    assert changed(store, old, put(store, version="1", code="version", params=(("a", 1),), includes=(value,))) == [
        "option nout: '2' -> none",
        "hash_includes is new: 7",
    ]


def test_another_sort_of_use_under_one_name_is_one_gone_and_one_new(store: Store) -> None:
    value = store.put("value", b"\x07")
    old, new = put(store, Use("constant", "w:x", value)), put(store, Use("untracked", "w:x", None, "is assigned"))
    assert changed(store, old, new) == ["constant w.x is gone: 7", "untracked w.x is new: is assigned"]


def test_code_that_is_missing_from_the_store_has_no_diff(store: Store) -> None:
    old, new = put(store, text=Digest(b"1" * 16)), put(store, text=Digest(b"2" * 16))
    (change,) = code_changes(old, new, store.get)
    assert (change.what, change.diff) == ("own", ())
    assert code_changes(Digest(b"1" * 16), new, store.get) == ()


def test_a_reason_as_json_holds_all_of_it(history: History) -> None:
    told(history, "RATE = 3", "RATE = 4")
    document = record_to_json(history.explained()["scale"])
    assert document["why"] == "code"
    assert document["code"][0]["values"] == [{"path": "w.RATE", "how": "changed", "old": "3", "new": "4", "file": ""}]


# -- when the earlier call has gone -----------------------------------------------------------------------------------


def _keep_newest(store: Store) -> None:
    store.prune(store.plan_pruning(KeepRules(last=1)))
    store.collect_garbage(GcOptions(expiry_s=0))


def test_a_reason_whose_earlier_call_has_gone_names_its_kind_and_says_so(history: History) -> None:
    history.run(TASKS)
    history.run(TASKS.replace("x * RATE", "x + RATE"), 0.2)
    before = history.explained()
    assert (before["scale"].why, before["train"].why) == (Why.CODE, Why.ARGUMENT)
    _keep_newest(history.store)
    found = history.explained()
    for name, word in (("scale", "code"), ("train", "argument")):
        assert found[name].text() == f"{word} changed; the earlier call is no longer in the store"
        assert found[name] == Reason(before[name].why, history.rows()[name].compared, gone=True)
    assert history.explained_all()["scale"] == [found["scale"].text()]


def test_a_reason_that_a_conversion_left_without_its_earlier_call_says_the_same(history: History) -> None:
    history.run(TASKS)
    history.run(TASKS.replace("x * RATE", "x + RATE"))
    miss = history.miss(history.rows()["scale"])._replace(compared=None)
    reason = Reasons(history.store.get, known_in(history.store)).reason(miss)
    assert reason == Reason(Why.CODE, None, gone=True)


def test_a_file_that_changed_is_told_also_when_the_earlier_call_has_gone(history: History) -> None:
    history.run(TASKS)
    Path("out.txt").write_text("something else")
    history.run(TASKS)
    before = history.explained()["write"].text()
    assert before.startswith("its earlier result does not hold: content of out.txt: ")
    _keep_newest(history.store)
    assert history.explained()["write"].text() == before
