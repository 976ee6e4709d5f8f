"""`redun init` as a user meets it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from redun.cli.app import main
from redun.core.codec import pack
from redun.store import Store


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_init_makes_a_store_in_the_working_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init"]) == 0
    assert (tmp_path / ".redun" / "store" / "FORMAT").exists()
    assert (tmp_path / ".redun" / ".gitignore").read_text() == "*\n"
    assert capsys.readouterr().out == f"Made a store in {tmp_path}/.redun/store (object format xxh3-128)\n"


def test_init_again_says_so_and_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["init", "--object-format", "sha256"])
    capsys.readouterr()
    assert main(["init"]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/.redun/store is a store already (object format sha256)\n"


def test_init_of_another_format_is_refused_with_the_format_code(capsys: pytest.CaptureFixture[str]) -> None:
    main(["init"])
    assert main(["init", "--object-format", "sha256"]) == 4
    assert "has object format xxh3-128" in capsys.readouterr().err


def test_init_makes_directories_on_the_way(tmp_path: Path) -> None:
    assert main(["init", "a/b"]) == 0
    assert (tmp_path / "a" / "b" / ".redun" / "store" / "FORMAT").exists()


def test_init_at_a_path_leaves_a_pointer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--at", "disk"]) == 0
    assert (tmp_path / ".redun").read_text() == f"{tmp_path}/disk\n"
    assert (tmp_path / "disk" / "store" / "FORMAT").exists()
    assert ".redun points to" in capsys.readouterr().out


def test_init_takes_no_store_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--store", "x", "init"]) == 2
    assert "--at" in capsys.readouterr().err


def test_quiet_init_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "-q"]) == 0
    assert capsys.readouterr().out == ""


def test_init_says_as_json_what_there_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["init", "--json", "-q"])
    made = json.loads(capsys.readouterr().out)
    where = f"{tmp_path}/.redun/store"
    assert made == {"made": True, "store": where, "object_format": "xxh3-128", "compression": "none"}
    main(["init", "--json"])
    assert json.loads(capsys.readouterr().out) == {**made, "made": False}


def test_compression_is_chosen_at_first_or_later(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("backports.zstd" if sys.version_info < (3, 14) else "compression.zstd")
    assert main(["init", "--object-format", "sha256", "--compression", "zstd"]) == 0
    assert capsys.readouterr().out.endswith("(object format sha256, compression zstd)\n")
    with Store.open(tmp_path / ".redun" / "store") as store:
        store.put("value", pack("text " * 2000))
        assert store.compression == "zstd"
    main(["init", "--compression", "none"])
    capsys.readouterr()
    main(["init", "--json"])
    assert json.loads(capsys.readouterr().out)["compression"] == "none"
    assert main(["fsck"]) == 0
