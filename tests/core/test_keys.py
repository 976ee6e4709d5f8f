"""Cache keys: arguments are bound first, and whatever changes what would run changes the key."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redun.core.digest import DEFAULT_FORMAT, OBJECT_FORMATS, Digest, ObjectFormat
from redun.core.errors import CannotEncode
from redun.core.keys import BindError, CodeExternal, LazyDefault, bind, call_key, code_id, prepare, spread
from redun.core.objects import TaskRecord
from redun.core.tasks import Task, registry, task
from redun.core.values import Encoded, Encoder
from tests.core.projects import Project


def all_kinds(a: Any, b: Any = 1, /, c: Any = 2, *d: Any, e: Any, f: Any = 3, **g: Any) -> Any:
    return [a, b, c, d, e, f, g]


def plain(a: Any, b: Any = 1) -> Any:
    return [a, b]


def only_gathered(*args: Any, **kwargs: Any) -> Any:
    return [args, kwargs]


def same_name(a: Any, /, **kwargs: Any) -> Any:
    return [a, kwargs]


def keyword_only(*, a: Any, b: Any = 2) -> Any:
    return [a, b]


def nothing() -> Any:
    return []


FUNCTIONS = [all_kinds, plain, only_gathered, same_name, keyword_only, nothing]


def _encoded(value: Any) -> Encoded:
    return Encoder(DEFAULT_FORMAT).encode(value)


def _gather(is_mapping: bool, parts: Any) -> Encoded:
    return _encoded({k: v.obj for k, v in parts.items()} if is_mapping else tuple(v.obj for v in parts))


def _bound(func: Any, args: list[Any], kwargs: dict[str, Any]) -> tuple[list[Any], tuple[str, ...]]:
    prepared = prepare(Task(func, {}), DEFAULT_FORMAT)
    found, applied = bind(prepared, [_encoded(a) for a in args], {k: _encoded(v) for k, v in kwargs.items()}, _gather)
    return [part.payload for part in found if isinstance(part, Encoded)], applied


def _expected(func: Any, args: list[Any], kwargs: dict[str, Any]) -> list[bytes]:
    parts = [dict(sorted(part.items())) if isinstance(part, dict) else part for part in func(*args, **kwargs)]
    return [_encoded(part).payload for part in parts]


@given(
    st.sampled_from(FUNCTIONS),
    st.lists(st.integers(0, 9), max_size=5),
    st.dictionaries(st.sampled_from("abcdefgxyz"), st.integers(0, 9), max_size=4),
)
def test_arguments_are_bound_as_python_binds_them(func: Any, args: list[Any], kwargs: dict[str, Any]):
    try:
        expected = _expected(func, args, kwargs)
    except TypeError:
        with pytest.raises(BindError):
            _bound(func, args, kwargs)
        return
    assert _bound(func, args, kwargs)[0] == expected


def test_the_defaults_that_were_applied_are_named():
    assert _bound(plain, [0], {})[1] == ("b",)
    assert _bound(plain, [0, 1], {})[1] == ()
    assert _bound(plain, [], {"a": 0})[1] == ("b",)
    assert _bound(all_kinds, [0], {"e": 5})[1] == ("b", "c", "f")


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ([], {}, r"plain\(\) missing required argument: 'a'"),
        ([1, 2, 3], {}, r"plain\(\) takes 2 positional arguments but 3 were given"),
        ([1], {"a": 1}, r"plain\(\) got multiple values for argument 'a'"),
        ([1], {"z": 1}, r"plain\(\) got an unexpected keyword argument 'z'"),
    ],
)
def test_arguments_that_do_not_fit_are_told_as_python_tells_them(args: Any, kwargs: Any, message: str):
    with pytest.raises(BindError, match=message) as caught:
        _bound(plain, args, kwargs)
    assert isinstance(caught.value, TypeError)


@given(st.sampled_from(FUNCTIONS), st.data())
def test_spreading_undoes_binding(func: Any, data: st.DataObject):
    task: Task[..., Any] = Task(func, {})
    values: list[Any] = []
    for _, kind in task.params:
        number = data.draw(st.integers(0, 9))
        values.append((number, number) if kind == 2 else {"z": number, "y": 1} if kind == 4 else number)
    args, kwargs = spread(task, values)
    assert func(*args, **kwargs) == values


# -- keys -------------------------------------------------------------------------------------------------------------

ids = st.binary(min_size=16, max_size=16).map(Digest)


@given(
    st.lists(st.tuples(ids, st.lists(ids, min_size=2, max_size=2), st.sets(ids, max_size=3)), min_size=2, max_size=2)
)
def test_keys_differ_exactly_if_task_arguments_or_code_differ(calls: Any):
    (task_a, args_a, code_a), (task_b, args_b, code_b) = calls
    one = call_key(DEFAULT_FORMAT, task_a, args_a, code_a)
    two = call_key(DEFAULT_FORMAT, task_b, args_b, code_b)
    assert (one == two) == ((task_a, args_a, code_a) == (task_b, args_b, code_b))
    assert one == call_key(DEFAULT_FORMAT, task_a, args_a, sorted(code_a, reverse=True))


@pytest.mark.parametrize("fmt", OBJECT_FORMATS.values(), ids=str)
def test_keys_are_as_long_as_ids(fmt: ObjectFormat):
    assert len(call_key(fmt, Digest(b"t" * fmt.size), [])) == fmt.size


# -- prepared tasks ---------------------------------------------------------------------------------------------------


def test_a_task_is_prepared_once_for_each_format():
    made: Task[..., Any] = Task(plain, {})
    for fmt in OBJECT_FORMATS.values():
        prepared = prepare(made, fmt)
        assert prepare(made, fmt) is prepared
        assert len(prepared.digest) == fmt.size
        assert TaskRecord.parse(prepared.objects[prepared.digest][1]).fullname == "plain"
        assert prepared.source in prepared.objects
    assert prepare(Task(plain, {}), DEFAULT_FORMAT).digest == prepare(made, DEFAULT_FORMAT).digest


def test_what_is_prepared_says_how_a_call_is_bound():
    prepared = prepare(Task(all_kinds, {}), DEFAULT_FORMAT)
    assert prepared.names == tuple("abcdefg")
    assert prepared.simple == -1
    assert sorted(prepared.defaults) == ["b", "c", "f"]
    assert not prepared.lazy
    assert prepare(Task(plain, {}), DEFAULT_FORMAT).simple == 2


def test_a_default_may_be_lazy():
    lazy: Any = Task(nothing, {})()

    def with_lazy(a: Any = lazy, b: Any = 1, c: Any = {"k": [lazy]}) -> None: ...  # noqa: B006

    prepared = prepare(Task(with_lazy, {}), DEFAULT_FORMAT)
    assert prepared.lazy
    assert prepared.defaults["a"] == LazyDefault(lazy)
    assert isinstance(prepared.defaults["b"], Encoded)
    assert isinstance(prepared.defaults["c"], LazyDefault)


def test_a_default_that_cannot_be_encoded_is_an_error():
    def bad(a: Any = object()) -> None:  # noqa: B008
        ...

    with pytest.raises(CannotEncode):
        prepare(Task(bad, {}), DEFAULT_FORMAT)


def test_the_code_of_the_user_has_an_id_and_that_of_others_has_none(project: Project):
    project.write({"w": "class Own: ...\ndef helper(): ...\n"})
    module = project.load("w")
    for own in (module.Own, module.helper, Task(plain, {})):
        digest, objects = code_id(own, DEFAULT_FORMAT)
        assert digest in objects
        assert code_id(own, DEFAULT_FORMAT)[0] == digest
    for other in (list, len, inspect.Parameter, pytest.raises):
        assert code_id(other, DEFAULT_FORMAT) == (None, {})


def test_the_id_of_code_changes_with_the_code(project: Project):
    found = []
    for body in ("return 1", "return 2", "return 1  # as before"):
        project.write({"w": f"class Own:\n    def f(self):\n        {body}\n"})
        found.append(code_id(project.load("w").Own, DEFAULT_FORMAT)[0])
    assert found[0] == found[2] != found[1]


# -- code as an external value ----------------------------------------------------------------------------------------


def test_code_in_a_result_is_valid_while_its_name_leads_to_it(project: Project):
    text = "from redun.core.tasks import task\nclass Own:\n    x = {}\n@task()\ndef t(): return {}\n"
    project.write({"w": text.format(1, 1)})
    module = project.load("w")
    externals = []
    for name, obj in (("w:Own", module.Own), ("t", module.t)):
        digest = code_id(obj, DEFAULT_FORMAT)[0]
        assert digest is not None
        externals.append(CodeExternal(name, digest))
    assert [external.is_valid() for external in externals] == [True, True]
    assert [external.describe() for external in externals] == ["w:Own", "t"]
    project.write({"w": text.format(2, 2)})
    project.load("w")
    assert [external.is_valid() for external in externals] == [False, False]
    project.forget()
    registry._tasks.clear()
    assert [external.is_valid() for external in externals] == [False, False]


def test_what_stands_for_code_can_be_stored():
    external = CodeExternal("w:Own", Digest(b"d" * 16))
    encoder = Encoder(DEFAULT_FORMAT)
    from redun.core.decoding import Decoder

    assert Decoder({}.__getitem__).decode(encoder.encode(external).payload) == external


def test_a_task_that_nobody_registered_still_has_a_key():
    assert task is not None
    assert prepare(Task(plain, {"name": "never_registered"}), DEFAULT_FORMAT).digest
