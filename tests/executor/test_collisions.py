"""Crafted xxh3-128 collisions inside runs: no job is ever answered with what another value's job gave.

Of two values with one id the run that meets the second one stops; two calls with one key are two calls.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from redun import task
from redun.core import limits
from redun.core.errors import DigestCollision, StoreFull
from redun.core.objects import Status
from redun.executor.scheduler import Scheduler
from redun.store import Store
from tests.store.collisions import blobs, values, values_of_one_key

NAMESPACE = "collisions"
RAN: list[bytes] = []

#: Values of the sizes that are hashed in different ways, and one whose bytes lie in a file.
PAIRS = {"small": values(53), "larger": values(300), "file": blobs(limits.LEAF_BYTES + 100)}
pairs = pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)


@task(namespace=NAMESPACE)
def told(data: bytes) -> str:
    RAN.append(data)
    return data[-30:].hex() + data[:2000].hex()


@task(namespace=NAMESPACE)
def keyed(_first: int, data: bytes) -> str:
    RAN.append(data)
    return data.hex()


@task(namespace=NAMESPACE)
def refused(bad: str, data: bytes) -> str:
    if data.hex() == bad:
        raise ValueError(bad)
    return data.hex()


@task(namespace=NAMESPACE)
def stepwise(bad: str, data: bytes) -> str:
    return refused(bad, data)


@task(namespace=NAMESPACE)
def same(data: bytes, _number: int) -> bytes:
    return data


@task(namespace=NAMESPACE)
def made(path: str) -> bytes:
    return Path(path).read_bytes()


@task(namespace=NAMESPACE)
def after(text: str, data: bytes) -> list[str]:
    return [text, told(data)]  # type: ignore[list-item]  # lazy


@task(namespace=NAMESPACE)
def both(one: bytes, two: bytes) -> list[str]:
    return [told(one), told(two)]  # type: ignore[list-item]


@pytest.fixture(params=["memory", "disk"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store of the format that does not withstand malice."""
    RAN.clear()
    with Store.memory("xxh3-128") if request.param == "memory" else Store.init(tmp_path / "s") as opened:
        yield opened


@pytest.fixture(params=[1, limits.COMMIT_ROWS], ids=["commit each", "commit rarely"])
def commits(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether what a run has done is stored at once, or all of it at its end."""
    monkeypatch.setattr(limits, "COMMIT_ROWS", request.param)


@pytest.fixture
def paths(pair: tuple[bytes, bytes], tmp_path: Path) -> tuple[str, str]:
    """Files with a pair, of which results are made."""
    for name, data in zip("ab", pair, strict=True):
        (tmp_path / name).write_bytes(data)
    return str(tmp_path / "a"), str(tmp_path / "b")


def answer(data: bytes) -> str:
    return data[-30:].hex() + data[:2000].hex()


@pairs
def test_an_argument_that_collides_with_a_recorded_one_is_no_hit(store: Store, pair: tuple[bytes, bytes]) -> None:
    scheduler = Scheduler(store)
    assert scheduler.run(told(pair[0])) == answer(pair[0])
    for _ in range(2):
        with pytest.raises(DigestCollision, match="both are kept"):
            scheduler.execute(told(pair[1]))
    assert scheduler.run(told(pair[0])) == answer(pair[0])
    assert [pair[0]] == RAN


@pairs
@pytest.mark.usefixtures("commits")
@pytest.mark.parametrize(
    "expression",
    [
        lambda a, b: [told(a), told(b)],
        both,
        lambda a, b: [told(a), after(told(a), b)],
        lambda a, b: after(told(a), b),
        lambda a, b: told.options(cache=False)(a) + told.options(cache=False)(b),
    ],
)
def test_two_arguments_of_one_id_in_one_run_stop_it(
    store: Store, pair: tuple[bytes, bytes], expression: Callable[[bytes, bytes], Any]
) -> None:
    with pytest.raises(DigestCollision):
        Scheduler(store).execute(expression(*pair))
    assert RAN in ([], [pair[0]])
    assert RAN == [] or Scheduler(store).run(told(pair[0])) == answer(pair[0])


@pairs
@pytest.mark.usefixtures("commits")
def test_a_result_that_collides_with_another_stops_the_run(store: Store, paths: tuple[str, str]) -> None:
    with pytest.raises(DigestCollision):
        Scheduler(store).execute([told(made(paths[0])), told(made(paths[1]))])
    assert len(set(RAN)) <= 1


@pairs
def test_a_result_that_collides_with_a_stored_one_stops_the_run(
    store: Store, pair: tuple[bytes, bytes], paths: tuple[str, str]
) -> None:
    scheduler = Scheduler(store)
    assert scheduler.run(told(made(paths[0]))) == answer(pair[0])
    with pytest.raises(DigestCollision):
        scheduler.execute(told(made(paths[1])))
    assert [pair[0]] == RAN


@pairs
def test_a_result_that_collides_while_another_is_being_written_gets_no_answer_of_it(
    store: Store, pair: tuple[bytes, bytes], paths: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Scheduler(store).run(told(pair[0]))
    RAN.clear()
    monkeypatch.setattr(limits, "COMMIT_ROWS", 1)
    with pytest.raises(DigestCollision):
        # the result is handed to the writer long before the call that takes it is asked for
        Scheduler(store).execute(after(told(b"other"), made(paths[1])))
    assert set(RAN) <= {b"other"}


@pytest.mark.parametrize("pair", [values(limits.CHILD_BYTES + 100), PAIRS["file"]], ids=["child", "file"])
def test_values_that_hold_one_of_a_pair_collide_as_well(store: Store, pair: tuple[bytes, bytes]) -> None:
    scheduler = Scheduler(store)
    scheduler.run(same(pair[0], 1))
    with pytest.raises(DigestCollision):
        scheduler.execute(same({"deep": [pair[1]]}, 2))  # type: ignore[arg-type]


def test_a_run_that_was_stopped_so_is_recorded_as_interrupted(tmp_path: Path) -> None:
    one, two = PAIRS["small"]
    with Store.init(tmp_path) as store:
        Scheduler(store).run(told(one))
        with pytest.raises(DigestCollision):
            Scheduler(store).execute([told(b"before"), after(told(b"before"), two)])
        assert [info.alive for info in store.live_runs()] == [False]
        assert [thread.name for thread in threading.enumerate() if thread.name == "redun-writer"] == []
        assert Scheduler(store).run(told(one)) == answer(one)
    with Store.open(tmp_path) as store:
        assert store.live_runs() == []
        assert [record.status for _, record in store.executions()].count(Status.INTERRUPTED) == 1


def test_two_calls_of_one_key_in_one_run_are_two_calls(store: Store) -> None:
    one, two = values_of_one_key()
    answers = Scheduler(store).run([keyed(1, one), keyed(1, two), keyed(1, one), keyed(1, two)])
    assert answers == [one.hex(), two.hex(), one.hex(), two.hex()]


def test_a_call_whose_key_another_has_in_the_store_runs(store: Store) -> None:
    one, two = values_of_one_key()
    for _ in range(2):
        assert Scheduler(store).run(keyed(1, one)) == one.hex()
        assert Scheduler(store).run(keyed(1, two)) == two.hex()


def test_a_call_whose_key_has_a_step_of_another_in_the_store_runs(store: Store) -> None:
    one, two = values_of_one_key()
    # it failed after its body had returned an expression: that step is remembered, and no call
    assert Scheduler(store).execute(stepwise(one.hex(), one)).status is Status.FAILED
    assert Scheduler(store).run(stepwise(one.hex(), two)) == two.hex()
    assert Scheduler(store).execute(stepwise(one.hex(), one)).status is Status.FAILED


@pairs
def test_a_sha256_store_answers_both(tmp_path: Path, pair: tuple[bytes, bytes]) -> None:
    RAN.clear()
    with Store.init(tmp_path, object_format="sha256") as strong:
        for _ in range(2):
            assert Scheduler(strong).run([told(pair[0]), told(pair[1])]) == [answer(pair[0]), answer(pair[1])]
            execution = Scheduler(strong).execute(both(*pair))
            assert execution.status is Status.DONE
    assert sorted(RAN) == sorted(pair)


def test_a_disk_that_fills_up_under_a_large_value_stops_the_run_as_such(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StoreFull("no room")

    monkeypatch.setattr(Store, "write_blob", full)
    with pytest.raises(StoreFull):
        Scheduler(store).execute(same(bytes(2 * limits.LEAF_BYTES), 1))
