"""A real browser without a window, driven through chromedriver by the W3C's WebDriver protocol."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

#: Nothing is asked of the network but what the page asks.
_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1280,1600",
]
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


def missing() -> str:
    """Returns which program is not here, or an empty text."""
    needed = ("chromium", "chromedriver")
    return ", ".join(name for name in needed if shutil.which(name) is None)


class Browser:
    """One window of a browser."""

    def __init__(self, address: str, profile: str) -> None:
        self._address = address
        options = {"binary": shutil.which("chromium"), "args": [*_FLAGS, f"--user-data-dir={profile}"]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        session = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"/session/{session['sessionId']}"

    @classmethod
    @contextmanager
    def start(cls) -> Iterator[Self]:
        """Gives a browser of its own, and ends it."""
        driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True)
        assert driver.stdout is not None
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            try:
                port = next(
                    found[1] for line in driver.stdout if (found := re.search(r"successfully on port (\d+)", line))
                )
                browser = cls(f"http://127.0.0.1:{port}", profile)
                try:
                    yield browser
                finally:
                    browser._ask("DELETE", browser._session)
            finally:
                driver.terminate()
                driver.stdout.close()
                driver.wait()

    def _ask(self, method: str, path: str, data: Any = None) -> Any:
        body = None if method != "POST" else json.dumps(data or {}).encode()
        request = urllib.request.Request(self._address + path, body, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from None

    def open(self, path: Path) -> None:
        """Opens a file, and returns when it is loaded."""
        self.go(path.resolve().as_uri())

    def go(self, address: str) -> None:
        """Opens an address, and returns when it is loaded."""
        self._ask("POST", f"{self._session}/url", {"url": address})

    def run(self, script: str, *values: Any) -> Any:
        """Returns what a script of the page returns; `arguments` has the values."""
        return self._ask("POST", f"{self._session}/execute/sync", {"script": script, "args": list(values)})

    def text(self, selector: str) -> str:
        """Returns the text of the first element that fits."""
        script = "const found = document.querySelector(arguments[0]); return found.innerText ?? found.textContent"
        found: str = self.run(script, selector)
        return found

    def count(self, selector: str) -> int:
        """Returns how many elements fit."""
        found: int = self.run("return document.querySelectorAll(arguments[0]).length", selector)
        return found

    def _find(self, selector: str) -> str:
        wanted = {"using": "css selector", "value": selector}
        found: str = self._ask("POST", f"{self._session}/element", wanted)[_ELEMENT]
        return found

    def click(self, selector: str) -> None:
        """Clicks on the first element that fits, as a mouse does: it has to be seen."""
        self._ask("POST", f"{self._session}/element/{self._find(selector)}/click")

    def type(self, selector: str, text: str) -> None:
        """Types into an element."""
        self._ask("POST", f"{self._session}/element/{self._find(selector)}/value", {"text": text})

    def wheel(self, selector: str, turns: int) -> None:
        """Turns the wheel above the middle of an element."""
        origin = {_ELEMENT: self._find(selector)}
        action = {"type": "scroll", "x": 0, "y": 0, "deltaX": 0, "deltaY": turns, "origin": origin}
        actions = [{"type": "wheel", "id": "wheel", "actions": [action]}]
        self._ask("POST", f"{self._session}/actions", {"actions": actions})

    def point(self, selector: str, x: int, y: int) -> None:
        """Moves the mouse to a place relative to the middle of an element."""
        action = {"type": "pointerMove", "x": x, "y": y, "origin": {_ELEMENT: self._find(selector)}}
        actions = [{"type": "pointer", "id": "mouse", "actions": [action]}]
        self._ask("POST", f"{self._session}/actions", {"actions": actions})

    def screenshot(self, selector: str | None = None) -> bytes:
        """Returns a picture of the window, or of an element, as PNG."""
        part = "" if selector is None else f"/element/{self._find(selector)}"
        return base64.b64decode(self._ask("GET", f"{self._session}{part}/screenshot"))

    def complaints(self) -> list[str]:
        """Returns what the page's console says."""
        return [entry["message"] for entry in self._ask("POST", f"{self._session}/se/log", {"type": "browser"})]

    def requests(self) -> list[str]:
        """Returns the addresses that the page has asked for since the last call."""
        entries = self._ask("POST", f"{self._session}/se/log", {"type": "performance"})
        messages = [json.loads(entry["message"])["message"] for entry in entries]
        return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
