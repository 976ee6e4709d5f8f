"""The page of `redun report`, as a browser shows it."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.browser import Browser, missing

FLOW = """
from redun import catch, task

redun_namespace = "shop"

@task()
def price(name: str) -> int:
    if name == "<b>stone</b>":
        raise ValueError("nobody buys </script><script>alert(1)</script> stones")
    return len(name)

@task()
def free(error: Exception) -> int:
    return 0

@task()
def total(prices: list) -> int:
    return sum(prices)

@task()
def main() -> int:
    return total([catch(price(name), ValueError, free) for name in ["tea", "bread", "<b>stone</b>"]])

@task()
def strict() -> int:
    return total([price("<b>stone</b>"), price("tea")])
"""

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"{missing()} is not installed: apt install chromium-driver")


def redun(directory: Path, *words: str) -> None:
    command = [sys.executable, "-m", "redun", *words]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("shop")
    (directory / "flow.py").write_text(FLOW)
    redun(directory, "-q", "run", "flow.py", "main")
    redun(directory, "report", "-", "-o", "main.html")
    redun(directory, "-q", "run", "--no-cache", "flow.py", "strict")
    redun(directory, "report", "-", "-o", "strict.html")
    return directory


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser.start() as found:
        yield found


def pixels(png: bytes) -> set[bytes]:
    """Returns the colours of some pixels of a picture: of rows that are stored without a filter or only add to the
    left one, which is enough to tell a drawing from an empty plane."""
    assert png.startswith(b"\x89PNG")
    width, _, depth, kind = struct.unpack(">IIBB", png[16:26])
    assert (depth, kind) in {(8, 2), (8, 6)}
    data, at = b"", 8
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + size]
        at += size + 12
    raw = zlib.decompress(data)
    stride = 1 + width * (3 if kind == 2 else 4)
    return {raw[row : row + stride] for row in range(0, len(raw), stride)}


def test_the_page_is_drawn_without_asking_the_network_and_without_a_complaint(pages: Path, browser: Browser) -> None:
    browser.go("about:blank")
    browser.requests()  # those of the browser's own first page
    browser.open(pages / "main.html")
    assert browser.text("#status") == "DONE"
    assert browser.text("#command") == "redun -q run flow.py main"
    assert browser.complaints() == []
    assert browser.requests() == [(pages / "main.html").as_uri()]
    assert len(pixels(browser.screenshot())) > 100
    assert len(pixels(browser.screenshot("#timeline"))) > 5


def test_the_page_has_less_than_100_kb_beside_its_data(pages: Path) -> None:
    text = (pages / "main.html").read_text()
    data = text.partition('id="data">')[2].partition("</script>")[0]
    assert len(data) > 1000
    assert len(text) - len(data) < 100_000


def test_a_choice_of_a_task_in_the_graph_leaves_its_jobs_alone(pages: Path, browser: Browser) -> None:
    browser.open(pages / "main.html")
    assert browser.count(".node") == 4
    assert browser.count("#jobs tbody tr") == 6
    place = browser.run('return tasks.findIndex((task) => task.name === "shop.price")')
    node = f'.node[data-task="{place}"]'
    assert browser.text(f"{node} text") == "shop.price"
    browser.click(node)
    assert {browser.text(f"#jobs tbody tr:nth-child({n}) td:nth-child(3)") for n in (1, 2, 3)} == {"shop.price"}
    assert browser.text("#found") == "3 of 6 jobs"
    browser.click(node)
    assert browser.text("#found") == "6 of 6 jobs"


def test_jobs_are_found_by_text_and_by_state(pages: Path, browser: Browser) -> None:
    browser.open(pages / "main.html")
    browser.type("#filter-text", "bread price")
    assert browser.text("#found") == "1 of 6 jobs"
    assert "name='bread'" in browser.text("#jobs tbody tr")
    browser.open(pages / "main.html")
    browser.type("#filter-state", "FAILED")
    assert browser.text("#found") == "1 of 6 jobs"


def test_failures_come_first_and_those_that_were_handled_are_folded(pages: Path, browser: Browser) -> None:
    browser.open(pages / "strict.html")
    assert browser.text("#status") == "FAILED"
    assert browser.text("main section:first-child h2") == "Failures"
    assert browser.count("#failures details[open]") == 1
    assert "ValueError" in browser.text("#failures summary")
    assert "raise ValueError" in browser.text("#failures pre")
    browser.open(pages / "main.html")
    assert browser.count("#failures details:not([open])") == 1
    browser.click("#failures summary")
    assert browser.count("#failures details[open]") == 1


def test_names_and_texts_of_strangers_are_text_and_nothing_else(pages: Path, browser: Browser) -> None:
    browser.open(pages / "strict.html")
    assert browser.count("script") == 2
    assert browser.count("b") == 0
    assert "</script><script>alert(1)</script>" in browser.text("#failures pre")
    assert "<b>stone</b>" in browser.text("#jobs tbody")


def test_the_timeline_zooms_and_tells_of_the_job_below_the_mouse(pages: Path, browser: Browser) -> None:
    browser.open(pages / "main.html")
    whole = browser.text("#timeline-range")
    browser.wheel("#timeline", -240)
    assert browser.text("#timeline-range") != whole
    browser.type("#timeline", "0")
    assert browser.text("#timeline-range") == whole
    place = browser.run(
        """
        const canvas = document.getElementById("timeline"), box = canvas.getBoundingClientRect();
        canvas.scrollIntoView();
        const middle = line.places[0], from = jobs.start[middle] + Math.max(jobs.duration[middle], 0) / 2;
        const y = HEAD + (jobs.lane[middle] + 0.5) * laneHeight(canvas);
        return [from / line.whole * box.width - box.width / 2, y - box.height / 2, jobs.id[middle]];
        """
    )
    browser.point("#timeline", round(place[0]), round(place[1]))
    assert browser.text("#tip").startswith(place[2])
    assert "shop." in browser.text("#tip")
