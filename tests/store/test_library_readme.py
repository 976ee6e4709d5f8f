"""What `store/README.md` tells a stranger: its examples run as they stand, and it has every public name."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import redun.store
from redun.store import RedunError, Store

README = (Path(__file__).resolve().parents[2] / "store" / "README.md").read_text()
CODE = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
BLOCKS = re.findall(r"^```\w*\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
PROSE = re.sub(r"^```\w*\n.*?^```$", "", README, flags=re.DOTALL | re.MULTILINE)


def _run(code: str, place: Path) -> str:
    """What code prints that was pasted into a file."""
    (place / "pasted.py").write_text(code)
    command = [sys.executable, "-W", "error", "pasted.py"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_first_example_is_ten_lines_and_prints_what_is_said_each_time(tmp_path: Path) -> None:
    assert len([line for line in CODE[0].splitlines() if line]) <= 10
    for _ in range(2):
        assert _run(CODE[0], tmp_path) == BLOCKS[1]


def test_every_example_runs_after_the_first(tmp_path: Path) -> None:
    _run(CODE[0], tmp_path)
    assert len(CODE) >= 5
    for code in CODE[1:]:
        assert _run(code, tmp_path) == ""


def test_every_public_method_is_told() -> None:
    public = {name for name in dir(Store) if not name.startswith("_")}
    told = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`([^`]+)`", PROSE))))
    assert public - told == set()


def test_every_error_that_is_handed_out_is_told() -> None:
    errors = {
        name
        for name in redun.store.__all__
        if isinstance(found := getattr(redun.store, name), type) and issubclass(found, RedunError)
    }
    table = README.split("## Errors")[1]
    assert errors - set(re.findall(r"`(\w+)`", table)) == set()


def test_public_names_have_docstrings_that_name_their_errors() -> None:
    for name in sorted(set(redun.store.__all__) - {"Digest"}):
        assert getattr(redun.store, name).__doc__, name
    for kind in (Store, redun.store.Transaction):
        for name in dir(kind):
            if not name.startswith("_") and callable(getattr(kind, name)):
                assert getattr(kind, name).__doc__, name


def test_links_lead_somewhere() -> None:
    place = Path(redun.store.__file__).parent
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert [target for target in targets if not (place.resolve() / target).exists()] == []
