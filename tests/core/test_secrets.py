from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import pytest

from redun.core.concealed import redacted, tells
from redun.core.decoding import Decoder
from redun.core.digest import DEFAULT_FORMAT
from redun.core.display import show
from redun.core.errors import CannotDecode, CannotEncode, TaskError
from redun.core.secrets import Hidden, Secret
from redun.core.tasks import Task
from redun.core.values import Encoder
from tests.secrecy import forget_secrets, forgets_secrets

KEY = bytes(range(32))

pytestmark = pytest.mark.usefixtures("forgets_secrets")
__all__ = ["forgets_secrets"]


def encoder(key: bytes = KEY) -> Encoder:
    found = Encoder(DEFAULT_FORMAT)
    found.secret_key = lambda: key
    return found


def decoded(payload: bytes) -> Any:
    return Decoder(lambda _: ("value", b"")).decode(payload)


@dataclass
class Login:
    user: str
    password: Secret[str]


@pytest.mark.parametrize(
    "text",
    [
        repr(Secret("hunter2-and-more")),
        str(Secret("hunter2-and-more")),
        f"{Secret('hunter2-and-more')}",
        f"{Secret('hunter2-and-more'):>20}",
        repr([Secret(b"hunter2-and-more")]),
        repr(Login("ann", Secret("hunter2-and-more"))),
    ],
)
def test_a_secret_reads_like_stars(text: str):
    assert "hunter2" not in text
    assert "***" in text


def test_what_is_inside_is_revealed_on_request():
    secret = Secret({"user": "ann", "pin": 1234})
    assert secret.reveal() == secret.value == {"user": "ann", "pin": 1234}


def test_secrets_are_compared_by_value_and_their_hash_tells_nothing():
    assert Secret("abc") == Secret("abc") != Secret("abd")
    assert Secret("abc") != "abc"
    assert hash(Secret("abc")) == hash(Secret("abd"))
    assert copy.deepcopy(Secret("abc")) == Secret("abc")


def test_the_encoding_tells_values_apart_and_nothing_else():
    one, same, other = (encoder().encode(Secret(text)).payload for text in ("token-one", "token-one", "token-two"))
    assert one == same != other
    assert b"token" not in one
    assert one != encoder(bytes(32)).encode(Secret("token-one")).payload
    assert one != encoder().encode(Secret(b"token-one")).payload


def test_nothing_of_a_large_secret_is_put_beside_it():
    found = encoder()
    found.encode(Secret("large-secret" * 1_000_000))
    assert found.objects == {}


def test_a_secret_inside_other_values_is_hidden_too():
    payload = encoder().encode([Login("ann", Secret("hunter2-and-more"))]).payload
    assert b"ann" in payload
    assert b"hunter2" not in payload


def test_a_stored_secret_is_known_while_the_process_knows_it():
    payload = encoder().encode(Secret(["hunter2-and-more"])).payload
    known = decoded(payload)
    assert known.is_valid()
    assert known.reveal() == ["hunter2-and-more"]
    known.reveal().append("x")
    assert decoded(payload).reveal() == ["hunter2-and-more"]
    forget_secrets()
    unknown = decoded(payload)
    assert not unknown.is_valid()
    assert repr(unknown) == "Secret(***)"
    assert unknown != Secret(["hunter2-and-more"])
    assert unknown == decoded(payload)
    with pytest.raises(CannotDecode, match="given to an earlier run and never stored"):
        unknown.reveal()
    assert encoder().encode(unknown).payload == payload


def test_a_secret_has_no_place_where_no_key_is():
    with pytest.raises(CannotEncode, match=r"no place here.*as an argument of a call"):
        Encoder(DEFAULT_FORMAT).encode(Secret("hunter2-and-more"))


def test_what_is_lazy_or_a_secret_already_makes_no_secret():
    lazy: Any = Task(lambda: "x", {"name": "lazy", "namespace": "test_secrets"})
    with pytest.raises(TaskError, match="not a lazy one"):
        Secret(lazy())
    with pytest.raises(TaskError, match="not a secret"):
        Secret(Secret("x"))


def test_a_secret_that_cannot_be_encoded_says_so():
    with pytest.raises(CannotEncode):
        encoder().encode(Secret(object()))


def test_hidden_values_come_back_bare_and_are_shown_as_stars():
    payload = encoder().encode(Hidden({"a": "hidden-text"})).payload
    assert b"hidden-text" not in payload
    assert decoded(payload) == {"a": "hidden-text"}
    shown = Decoder(lambda _: ("value", b""))
    shown.veiled = True
    assert repr(shown.decode(payload)) == "***"
    assert encoder().encode(shown.decode(payload)).payload == payload
    forget_secrets()
    with pytest.raises(CannotDecode, match="never stored"):
        decoded(payload)


def test_stored_secrets_are_displayed_as_stars():
    def fetch(_: bytes) -> Any:
        raise AssertionError

    assert show(encoder().encode([Secret("abc"), 1]).payload, fetch) == "[Secret(***), 1]"
    assert show(encoder().encode(Hidden("abc")).payload, fetch) == "***"


def test_texts_of_secrets_are_masked_whatever_quotes_they_stand_in():
    Secret({"token": "a\"b'c\nlong-text", "pin": 987654})
    assert redacted("bad: " + "a\"b'c\nlong-text") == "bad: ***"
    assert redacted(repr(["a\"b'c\nlong-text", 987654])) == "['***', ***]"
    assert redacted("nothing here") == "nothing here"
    assert tells([b"x", b"bad: 987654"])
    assert not tells([b"x"])


@pytest.mark.parametrize("annotation", ["Secret[str]", "redun.Secret[str]", "Secret", Secret, Secret[str]])
def test_a_parameter_annotated_as_a_secret_takes_no_plain_value(annotation: Any):
    def use(url: str, token: Any = None) -> str:
        return url

    use.__annotations__["token"] = annotation
    task: Any = Task(use, {"name": "use", "namespace": "test_secrets"})
    for call in (lambda: task("u", "plain-text"), lambda: task("u", token=b"plain"), lambda: task.options(x=1)("u", 5)):
        with pytest.raises(TaskError, match=r"token of task test_secrets.use is a secret \(write Secret"):
            call()
    task("u", Secret("x"))
    task("u", None)
    task("u", task("v"))


def test_gathered_arguments_annotated_as_secrets_take_no_plain_value():
    def use(*words: Secret[str], **named: Secret[str]) -> int:
        return 1

    task: Any = Task(use, {"name": "gathers", "namespace": "test_secrets"})
    for call in (lambda: task(Secret("x"), "plain"), lambda: task(a="plain")):
        with pytest.raises(TaskError, match=r"of task test_secrets.gathers is a secret"):
            call()
    task(Secret("x"), a=Secret("y"))


def test_a_secret_that_begins_with_another_is_masked_whole():
    Secret(["token", "token-and-more"])
    assert redacted("token-and-more, token") == "***, ***"
