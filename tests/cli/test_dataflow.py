"""Where results came from, derived from what real runs have stored."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from redun import task
from redun.cli.dataflow import Dataflow, dataflow, dataflow_lines
from redun.cli.details import frame_of
from redun.cli.graph import Graph
from redun.cli.job_table import JobTable, Place
from redun.core.objects import CallRecord, Outcome
from redun.executor.scheduler import Scheduler
from redun.store import Store
from redun.store.lookup_names import runs

redun_namespace = "flow"


@pytest.fixture(params=["xxh3-128", "sha256"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    with Store.memory(request.param) as store:
        yield store


def job(store: Store, name: str, which: int = 0) -> Place:
    """The job of a task in the newest execution, the first of several by default."""
    graph = Graph(store)
    table = JobTable(graph, next(runs(store)))
    found = [job for _, job in table.walk() if graph.name(graph.call(job.call)) == name]
    return table, table.lineage(found[which].number)


def flow_of(store: Store, place: Place) -> Dataflow:
    graph = Graph(store)
    frame = frame_of(graph, place)
    assert frame is not None
    return dataflow(graph, "result", frame)


def text(store: Store, name: str, which: int = 0) -> str:
    """The dataflow of a job, with the ids left out."""
    lines = dataflow_lines(Graph(store), flow_of(store, job(store, name, which)), 80)
    return re.sub(r"<[0-9a-f]{8}>", "<>", "\n".join(lines))


def run(store: Store, expression: Any) -> None:
    Scheduler(store).execute(expression)


# -- the tutorial -----------------------------------------------------------------------------------------------------


@task()
def get_planet() -> str:
    return "World"


@task()
def greeter(greet: str, thing: str) -> str:
    return f"{greet}, {thing}!"


@task()
def main(greet: str = "Hello") -> Any:
    return greeter(greet, get_planet())


GREETING = """\
result <-- <> greeter(greet, thing)
  greet = <> 'Hello'
  thing = <> 'World'

greet <-- argument of <> main(greet)
      <-- origin

thing <-- <> get_planet()
      <-- origin"""


def test_arguments_come_from_the_caller_and_from_sibling_calls(store: Store) -> None:
    run(store, main())
    assert text(store, "greeter") == GREETING


def test_an_inner_job_of_a_replay_has_the_dataflow_of_the_first_run(store: Store) -> None:
    run(store, main())
    run(store, main())
    _, lineage = job(store, "greeter")
    assert lineage[-1].inner
    assert text(store, "greeter") == GREETING


def test_a_result_that_was_handed_up_is_followed_down_to_the_call_that_made_it(store: Store) -> None:
    run(store, main("Hi"))
    assert text(store, "main").startswith(
        "result <-- <> main(greet)\n"
        "       <-- <> greeter(greet, thing)\n"
        "  greet = <> 'Hi'\n"
        "  thing = <> 'World'\n"
        "\n"
        "greet <-- argument of <> main(greet)\n"
        "      <-- origin\n"
    )


# -- what is made of several ------------------------------------------------------------------------------------------


@task()
def compile_one(c_file: str) -> str:
    return c_file.replace(".c", ".o")


@task()
def link(prog: str, o_files: list[str]) -> str:
    return f"{prog}:{','.join(o_files)}"


@task()
def make_prog(prog: str, c_files: list[str]) -> Any:
    return link(prog, [compile_one(c_file) for c_file in c_files])


@task()
def make(files: dict[str, list[str]]) -> Any:
    return [make_prog(prog, c_files) for prog, c_files in files.items()]


FILES = {"one": ["one.c", "lib.c"], "two": ["two.c", "lib.c"]}


def test_a_container_of_results_derives_from_them(store: Store) -> None:
    run(store, make(FILES))
    assert text(store, "link") == (
        "result <-- <> link(prog, o_files)\n"
        "  prog    = <> 'one'\n"
        "  o_files = <> ['one.o', 'lib.o']\n"
        "\n"
        "prog <-- argument of <> make_prog(prog)\n"
        "     <-- part of argument of <> make(files)\n"
        "     <-- origin\n"
        "\n"
        "o_files <-- derives from\n"
        "  compile_one_result   = <> 'one.o'\n"
        "  compile_one_result_2 = <> 'lib.o'\n"
        "\n"
        "compile_one_result <-- <> compile_one(c_file)\n"
        "  c_file = <> 'one.c'\n"
        "\n"
        "compile_one_result_2 <-- <> compile_one(c_file_2)\n"
        "  c_file_2 = <> 'lib.c'\n"
        "\n"
        "c_file <-- part of argument of <> make_prog(c_files)\n"
        "       <-- part of argument of <> make(files)\n"
        "       <-- origin\n"
        "\n"
        "c_file_2 <-- part of argument of <> make_prog(c_files)\n"
        "         <-- part of argument of <> make(files)\n"
        "         <-- origin"
    )


def test_a_call_that_two_jobs_share_belongs_to_the_parent_of_the_job_asked_for(store: Store) -> None:
    run(store, make(FILES))
    graph = Graph(store)
    for which, prog in ((0, "one"), (1, "two")):
        flow = flow_of(store, job(store, "link", which))
        shared = next(block for block in flow.blocks if block.name == "c_file_2")
        step = shared.steps[0]
        assert step.how == "part"
        caller = graph.call(step.call)
        assert caller is not None
        assert graph.argument_text(caller).startswith(f"prog='{prog}'")


@task()
def number(n: int) -> int:
    return n


@task()
def total(value: int, scale: str = "plain") -> int:
    return value


@task()
def operations(a: str) -> Any:
    parts = number(7)
    return total((parts + number(8)) * 2)


def test_an_operation_derives_from_the_calls_in_it_and_a_default_begins_where_it_is(store: Store) -> None:
    run(store, operations("x"))
    assert text(store, "total") == (
        "result <-- <> total(value, scale)\n"
        "  value = <> 30\n"
        "  scale = <> 'plain'\n"
        "\n"
        "value <-- derives from\n"
        "  number_result   = <> 7\n"
        "  number_result_2 = <> 8\n"
        "\n"
        "scale <-- origin\n"
        "\n"
        "number_result <-- <> number(n)\n"
        "  n = <> 7\n"
        "\n"
        "number_result_2 <-- <> number(n_2)\n"
        "  n_2 = <> 8\n"
        "\n"
        "n <-- origin\n"
        "\n"
        "n_2 <-- origin"
    )


@task()
def wrap(text: str) -> Any:
    return {"text": text, "planet": get_planet()}


def test_a_result_made_of_a_call_and_of_an_argument_names_both(store: Store) -> None:
    run(store, wrap("some words"))
    assert text(store, "wrap") == (
        "result <-- <> wrap(text)\n"
        "       <-- derives from\n"
        "  get_planet_result = <> 'World'\n"
        "  text              = <> 'some words'\n"
        "\n"
        "get_planet_result <-- <> get_planet()\n"
        "                  <-- origin\n"
        "\n"
        "text <-- origin"
    )


@task()
def many(*args: Any, **kwargs: Any) -> int:
    return len(args) + len(kwargs)


@task()
def spread(first: str) -> Any:
    return many(first, get_planet(), z=get_planet(), a=first)


def test_what_star_parameters_gathered_derives_from_all_of_it(store: Store) -> None:
    run(store, spread("some words"))
    shown = text(store, "many")
    assert shown.startswith(
        "result <-- <> many(args, kwargs)\n"
        "  args   = <> ('some words', 'World')\n"
        "  kwargs = <> {'a': 'some words', 'z': 'World'}\n"
        "\n"
        "args <-- derives from\n"
        "  get_planet_result = <> 'World'\n"
        "  first             = <> 'some words'\n"
    )
    assert "kwargs <-- derives from\n" in shown


# -- one call met twice -----------------------------------------------------------------------------------------------


@task()
def pair(a: int, b: int) -> tuple[int, int]:
    return (a, b)


@task()
def twice(n: int) -> Any:
    once = number(n)
    return pair(once, once)


def test_a_call_that_gave_two_arguments_is_explained_once(store: Store) -> None:
    run(store, twice(5))
    assert text(store, "pair") == (
        "result <-- <> pair(a, b)\n"
        "  a = <> 5\n"
        "  b = <> 5\n"
        "\n"
        "a <-- <> number(n)\n"
        "  n = <> 5\n"
        "\n"
        "b <-- <> number(n)\n"
        "\n"
        "n <-- argument of <> twice(n)\n"
        "  <-- origin"
    )


def test_of_equal_arguments_each_is_followed_to_the_one_it_is_named_after(store: Store) -> None:
    run(store, renamed("x", "x"))
    assert "greet <-- argument of <> renamed(greet)\n" in text(store, "greeter")
    assert "thing <-- argument of <> renamed(thing)\n" in text(store, "greeter")


@task()
def renamed(thing: str, greet: str) -> Any:
    return greeter(greet, thing)


# -- failure, and what is not there -----------------------------------------------------------------------------------


@task()
def boom(message: str) -> str:
    raise ValueError(message)


@task()
def will_boom(message: str) -> Any:
    return greeter(message, boom(message))


def test_a_failed_call_is_followed_to_the_one_that_raised(store: Store) -> None:
    run(store, will_boom("Bang"))
    assert text(store, "will_boom") == (
        "result <-- <> will_boom(message)\n"
        "       <-- <> boom(message)\n"
        "  message = <> 'Bang'\n"
        "\n"
        "message <-- argument of <> will_boom(message)\n"
        "        <-- origin"
    )


def test_a_call_that_is_not_recorded_is_said_to_be_so(store: Store) -> None:
    run(store, main())
    table, lineage = job(store, "main")
    whole = Graph(store).call(lineage[0].call)
    assert whole is not None
    lost = CallRecord(whole.task, whole.args, whole.reduction, Outcome.VALUE, whole.result, children=(None, None))
    place = table, [lineage[0]._replace(call=store.put("call", lost.payload()))]
    lines = list(dataflow_lines(Graph(store), flow_of(store, place), 80))
    assert lines[1] == "       <-- a call that is not recorded"


def test_a_job_below_a_call_that_has_not_ended_is_placed_where_only_one_can_be(store: Store) -> None:
    run(store, main())
    table, lineage = job(store, "greeter")
    whole = Graph(store).call(lineage[0].call)
    assert whole is not None
    partial = CallRecord(whole.task, whole.args, whole.reduction, Outcome.PARTIAL, None)
    place = table, [lineage[0]._replace(call=store.put("call", partial.payload())), lineage[1]]
    lines = "\n".join(dataflow_lines(Graph(store), flow_of(store, place), 80))
    assert re.search(r"greet <-- argument of <\w+> main\(greet\)", lines)
    assert "thing <-- a call that is not recorded" in lines


# -- bounds -----------------------------------------------------------------------------------------------------------


@task()
def deep(n: int) -> Any:
    return number(0) if n == 0 else deep(n - 1)


def test_a_long_route_is_cut(store: Store) -> None:
    run(store, deep(200))
    lines = text(store, "deep").splitlines()
    assert lines[-1] == "       <-- ..."
    assert len(lines) < 50


@task()
def add(a: int, b: int) -> int:
    return a + b


@task()
def chain(n: int) -> Any:
    value: Any = number(0)
    for i in range(n):
        value = add(value, i)
    return value


def test_a_long_chain_is_cut_and_says_so(store: Store) -> None:
    run(store, chain(300))
    flow = flow_of(store, job(store, "chain"))
    assert flow.cut
    assert text(store, "chain").splitlines()[-1].startswith("... further up")


@task()
def fan(n: int) -> Any:
    return [number(i) for i in range(n)]


def test_of_many_parts_the_first_are_shown_and_the_others_counted(store: Store) -> None:
    run(store, fan(500))
    lines = text(store, "fan").splitlines()
    assert lines[1] == "       <-- derives from"
    assert "  ... 480 more" in lines
