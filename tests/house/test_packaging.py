"""What is built from the checkout and what lands in a user's environment. Nothing is asked of a network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from redun.core.version import VERSION
from tests.house.source_tree import ROOT, modules

pytestmark = pytest.mark.slow

#: Everything that a user's shell could bring along and that would change what is built or found.
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_", "REDUN_"))}


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    """Returns the output of a command that must succeed."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**CLEAN, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout: builds leave things behind."""
    copy = tmp_path_factory.mktemp("checkout") / "redun-core"
    junk = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "venv")
    shutil.copytree(ROOT, copy, symlinks=True, ignore=junk)
    return copy


@pytest.fixture(scope="module")
def built(checkout: Path) -> Path:
    """A folder with the sdist, and the wheel that was built from it."""
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", "dist", cwd=checkout)
    return checkout / "dist"


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    """The wheel."""
    (path,) = built.glob("*.whl")
    return path


def environment(place: Path) -> tuple[Path, Path]:
    """Makes a virtual environment that sees the libraries of this one; returns its interpreter and site-packages."""
    run(sys.executable, "-m", "venv", "--without-pip", place, cwd=place.parent)
    site = next(place.glob("lib/python*/site-packages"))
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return place / "bin" / "python", site


def install(python: Path, *what: str | Path, cwd: Path) -> set[str]:
    """Installs into an environment without asking anyone; returns what came into its site-packages."""
    site = next(python.parents[1].glob("lib/python*/site-packages"))
    before = set(os.listdir(site))
    offline = ["--no-deps", "--no-index", "--no-build-isolation", "--no-compile"]
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", *offline, *what, cwd=cwd)
    return set(os.listdir(site)) - before


def test_the_version_is_written_in_one_place(wheel: Path):
    assert wheel.name == f"redun_core-{VERSION}-py3-none-any.whl"
    assert "version" not in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f'"{VERSION}"' not in "".join(m.path.read_text() for m in modules().values() if "core.version" not in m.name)


def test_the_wheel_holds_every_module_and_nothing_outside_of_redun(wheel: Path):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.split("/")[0] for name in names} == {"redun", f"redun_core-{VERSION}.dist-info"}
    expected = set()
    for name, module in modules().items():
        package = module.path.name == "__init__.py"
        expected.add(name.replace(".", "/") + ("/__init__.py" if package else ".py"))
    assert {name for name in names if name.endswith(".py")} == expected
    assert "redun/py.typed" in names
    assert any(name.endswith("LICENSE") for name in names)


def test_the_wheel_from_the_sdist_is_the_wheel_from_the_checkout(checkout: Path, wheel: Path):
    run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", "direct", cwd=checkout)
    (direct,) = (checkout / "direct").glob("*.whl")
    contents = [
        {info.filename: info.CRC for info in zipfile.ZipFile(path).infolist() if not info.filename.endswith("RECORD")}
        for path in (direct, wheel)
    ]
    assert contents[0] == contents[1]


def test_the_sdist_carries_licence_and_readme_and_no_links(built: Path):
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        members = {member.name.split("/", 1)[-1]: member for member in sdist.getmembers()}
    assert {"LICENSE", "README.md", "pyproject.toml", "redun/py.typed"} <= set(members)
    assert [name for name, member in members.items() if member.issym() or member.islnk()] == []


def test_an_installed_wheel_brings_redun_alone_and_its_command_works(wheel: Path, tmp_path: Path):
    python, site = environment(tmp_path / "env")
    assert install(python, wheel, cwd=tmp_path) == {"redun", f"redun_core-{VERSION}.dist-info"}
    where = run(python, "-c", "import redun.store as s, redun; print(s.__file__, redun.__version__)", cwd=tmp_path)
    assert where.split() == [str(site / "redun" / "store" / "__init__.py"), VERSION]
    assert VERSION in run(python.parent / "redun", "--version", cwd=tmp_path)
    assert not [path for path in site.rglob("*") if path.is_symlink()]


def test_a_plain_install_of_the_checkout_is_the_wheel(checkout: Path, wheel: Path, tmp_path: Path):
    python, site = environment(tmp_path / "env")
    assert install(python, checkout, cwd=tmp_path) == {"redun", f"redun_core-{VERSION}.dist-info"}
    installed = {str(path.relative_to(site)) for path in (site / "redun").rglob("*.py")}
    assert installed == {name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".py")}


def test_an_editable_install_sees_files_that_come_later(checkout: Path, tmp_path: Path):
    python, _ = environment(tmp_path / "env")
    install(python, "--editable", checkout, cwd=tmp_path)
    later = checkout / "store" / "later.py"
    later.write_text("WORD = 'seen'\n")
    assert run(python, "-c", "from redun.store.later import WORD; print(WORD)", cwd=tmp_path) == "seen\n"
    later.unlink()
    assert VERSION in run(python.parent / "redun", "--version", cwd=tmp_path)
