"""The thread pool: every piece of work is answered or handed back exactly once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any

import pytest

from redun.core.tasks import running
from redun.executor.pools.contract import Answer, Work, take
from redun.executor.pools.threads import ThreadPool

WAIT = 30.0


@pytest.fixture
def pool() -> Iterator[ThreadPool]:
    """A pool of three threads."""
    made = ThreadPool(3, SimpleQueue())
    yield made
    made.close()


def _double(x: int) -> int:
    return 2 * x


def _work(numbers: Any, function: Any = _double) -> list[Work]:
    return [Work(number, function, (number,), {}) for number in numbers]


def _drain(pool: ThreadPool) -> tuple[list[Answer], list[Work]]:
    answers: list[Answer] = []
    left: list[Work] = []
    while pool.messages:
        reply = take(pool.outbox, [pool], WAIT)
        assert reply is not None
        answers += reply[0]
        left += reply[1]
    return answers, left


def test_answers_carry_the_tag_the_value_and_the_time(pool: ThreadPool):
    pool.submit(_work([1, 2]))
    answers, left = _drain(pool)
    assert sorted((answer.tag, answer.ok, answer.value) for answer in answers) == [(1, True, 2), (2, True, 4)]
    assert all(0 < answer.started <= answer.stopped for answer in answers)
    assert left == []


def test_positional_and_keyword_arguments_are_given(pool: ThreadPool):
    pool.submit([Work("t", lambda *args, **kwargs: (args, kwargs), [1, 2], {"k": 3})])
    ((answer,), _) = _drain(pool)
    assert answer.value == ((1, 2), {"k": 3})


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_whatever_a_body_raises_is_an_answer_and_the_worker_lives_on(pool: ThreadPool, error: BaseException):
    def fail(_: int) -> None:
        raise error

    for _ in range(5):
        pool.submit(_work([1], fail))
    answers, _ = _drain(pool)
    assert [(answer.ok, answer.value) for answer in answers] == [(False, error)] * 5
    pool.submit(_work([4]))
    assert _drain(pool)[0][0].value == 8


@pytest.mark.parametrize("size", [1, 7, 200])
def test_everything_is_answered_or_handed_back_exactly_once(pool: ThreadPool, size: int):
    numbers = list(range(1000))
    for start in range(0, 1000, size):
        pool.submit(_work(numbers[start : start + size]))
    answers, left = _drain(pool)
    seen = Counter([answer.tag for answer in answers] + [work.tag for work in left])
    assert seen == Counter(numbers)


def test_bodies_run_side_by_side(pool: ThreadPool):
    together = threading.Barrier(3)
    for number in range(3):
        pool.submit(_work([number], lambda _: together.wait(WAIT)))
    answers, _ = _drain(pool)
    assert sorted(answer.value for answer in answers) == [0, 1, 2]


def test_bodies_of_one_message_that_wait_for_each_other_still_run_side_by_side(pool: ThreadPool):
    together = threading.Barrier(3)
    pool.submit(_work(range(3), lambda _: together.wait(WAIT)))
    waiting: dict[int, int] = {}
    while pool.messages:
        reply = take(pool.outbox, [pool], WAIT)
        for answer in reply[0] if reply else ():
            waiting[answer.tag] = answer.value
        for work in reply[1] if reply else ():
            pool.submit([work])
    assert sorted(waiting) == [0, 1, 2]


def test_what_ended_before_a_slow_body_of_its_message_is_answered_while_that_runs():
    pool = ThreadPool(1, SimpleQueue())
    hold = threading.Event()
    pool.submit([*_work([1, 2]), Work(3, hold.wait, (WAIT,), {}), *_work([4])])
    early: list[Any] = []
    while len(early) < 2:
        reply = take(pool.outbox, [pool], WAIT)
        assert reply is not None
        early += [answer.tag for answer in reply[0]]
    hold.set()
    answers, left = _drain(pool)
    pool.close()
    assert (early, sorted(answer.tag for answer in answers), left) == ([1, 2], [3, 4], [])


def test_there_are_no_more_threads_than_asked_for_and_none_before_there_is_work():
    before = set(threading.enumerate())
    pool = ThreadPool(2, SimpleQueue())
    assert set(threading.enumerate()) <= before
    for number in range(20):
        pool.submit(_work([number]))
    assert len(set(threading.enumerate()) - before) <= 2
    _drain(pool)
    pool.close()


def test_a_halted_pool_hands_back_what_it_has_not_begun(pool: ThreadPool):
    begun, go_on = threading.Event(), threading.Event()

    def wait(number: int) -> int:
        begun.set()
        go_on.wait(WAIT)
        return number

    for number in range(10):
        pool.submit(_work([number], wait))
    begun.wait(WAIT)
    pool.halt()
    go_on.set()
    answers, left = _drain(pool)
    assert len(answers) <= 3
    assert Counter([a.tag for a in answers] + [w.tag for w in left]) == Counter(range(10))


def test_waking_makes_waiting_end(pool: ThreadPool):
    pool.outbox.put(None)
    assert take(pool.outbox, [pool], WAIT) is None


def test_taking_ends_when_the_time_is_over(pool: ThreadPool):
    assert take(pool.outbox, [pool], 0.0) is None
    assert take(pool.outbox, [pool], 0.001) is None


def test_work_can_be_done_on_the_calling_thread(pool: ThreadPool):
    seen: list[Any] = []

    def look(number: int) -> int:
        seen.append((threading.current_thread(), running.body))
        return number

    answers, left = pool.run_here(_work([1, 2], look))
    assert [answer.value for answer in answers] == [1, 2]
    assert left == []
    assert seen == [(threading.current_thread(), True)] * 2
    assert not running.body


def test_a_body_knows_that_it_is_one(pool: ThreadPool):
    pool.submit(_work([1], lambda _: running.body))
    assert _drain(pool)[0][0].value is True
