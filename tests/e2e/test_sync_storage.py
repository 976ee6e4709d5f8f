"""`redun push`, `pull` and `clone` through a server that speaks S3."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from redun.store import Store
from tests.servers.running import s3_server

_WORKFLOW = """
from redun import task

@task()
def double(number: int) -> int:
    return 2 * number

@task()
def big(n: int) -> bytes:
    return n.to_bytes(4, "big") * 250_000

@task()
def size(data: bytes) -> int:
    return len(data)

@task()
def main(n: int = 5) -> list:
    return [[size(big(i)) for i in range(20)], [double(i) for i in range(n)]]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with s3_server() as started:
        yield {
            "AWS_ENDPOINT_URL": started.settings["s3"]["endpoint_url"],
            "AWS_ACCESS_KEY_ID": "ada",
            "AWS_SECRET_ACCESS_KEY": "open sesame",
            "AWS_REGION": "us-east-1",
            "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("caches")),
        }


class Machine:
    """A project, and the command in it."""

    def __init__(self, path: Path, environment: dict[str, str]) -> None:
        self.path = path
        self.environment = {**os.environ, **environment}
        path.mkdir()

    def started(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "redun.cli.app", *words]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=self.path, env=self.environment, stdout=pipe, stderr=pipe, text=True)

    def __call__(self, *words: str, code: int = 0) -> str:
        with self.started(*words) as process:
            out, err = process.communicate(timeout=60)
        assert process.returncode == code, (words, out, err)
        assert "Traceback" not in err, err
        return out if code == 0 else err

    def compute(self, *words: str) -> str:
        (self.path / "flow.py").write_text(_WORKFLOW)
        return self("run", "flow.py", "main", *words)

    def sound(self) -> bool:
        with Store.open(self.path / ".redun" / "store") as store:
            return list(store.check(level=4)) == []


@pytest.fixture
def machines(tmp_path: Path, server: dict[str, str]) -> tuple[Machine, Machine]:
    return Machine(tmp_path / "one", server), Machine(tmp_path / "two", server)


@pytest.fixture
def url() -> str:
    return f"s3://data/{os.urandom(6).hex()}"


def packs(server: dict[str, str], url: str) -> list[str]:
    """Returns what lies beside each other in the bucket; the server asks for no credentials when it is read."""
    prefix = url.removeprefix("s3://data/")
    with urllib.request.urlopen(f"{server['AWS_ENDPOINT_URL']}/data?list-type=2&prefix={prefix}/packs/") as answer:
        return [part.split("</Key>")[0] for part in answer.read().decode().split("<Key>")[1:]]


def test_a_team_shares_its_results_through_a_bucket(machines: tuple[Machine, Machine], url: str) -> None:
    one, two = machines
    printed = one.compute()
    one("remote", "add", "origin", url)
    would = json.loads(one("push", "--dry-run", "--json"))
    pushed = json.loads(one("push", "--json"))
    assert would["objects"] == pushed["objects"] > 10
    two.path.rmdir()
    cloned = json.loads(one("clone", url, str(two.path), "--json"))
    assert cloned["objects"] == pushed["objects"]
    assert two.compute() == printed
    newest = json.loads(two("log", "--json"))[0]
    assert [task["done"] for task in newest["counts"]] == [0] * len(newest["counts"])
    two.compute("--n", "6")
    again = json.loads(two("push", "--json"))
    assert 0 < again["objects"] < cloned["objects"]
    assert json.loads(one("pull", "--json"))["objects"] == again["objects"]
    assert len(json.loads(one("log", "--json"))) == 3
    assert "nothing new" in two("push")
    assert one.sound()
    assert two.sound()


@pytest.mark.parametrize("packs_there", [1, 3])
def test_a_push_that_is_killed_is_done_again(
    machines: tuple[Machine, Machine], url: str, server: dict[str, str], packs_there: int
) -> None:
    one, two = machines
    printed = one.compute()
    with one.started("push", url) as process:
        while len(packs(server, url)) < packs_there and process.poll() is None:
            pass
        process.send_signal(signal.SIGKILL)
    one("push", url)
    assert "nothing new" in one("push", url)
    two.path.rmdir()
    one("clone", url, str(two.path))
    assert two.compute() == printed
    assert two.sound()


def test_what_keeps_a_bucket_from_being_reached_is_said(machines: tuple[Machine, Machine], url: str) -> None:
    one, _ = machines
    one.compute()
    assert "there is no store yet" in one("fetch", url, code=8)
    assert "there is no such bucket" in one("push", "s3://nowhere/x", code=8)
    one.environment["AWS_ENDPOINT_URL"] = "http://127.0.0.1:1"
    assert "http://127.0.0.1:1 cannot be reached" in one("push", url, code=8)


def test_a_store_that_names_objects_in_another_way_is_refused(machines: tuple[Machine, Machine], url: str) -> None:
    one, two = machines
    one.compute()
    one("push", url)
    two("init", "--object-format", "sha256")
    two.compute()
    assert "redun convert --to xxh3-128" in two("push", url, code=8)
