"""`redun init` as a user meets it."""

from __future__ import annotations

from pathlib import Path

import pytest

from redun.cli.app import main


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
