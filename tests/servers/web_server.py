"""A real web server whose pages, and whose bad days, a test decides."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Web:
    """Pages by path, headers that go with them, and what the next requests for a path are answered with."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.pages: dict[str, bytes] = {}
        self.headers: dict[str, dict[str, str]] = {}
        self.failures: dict[str, list[int]] = {}
        self.always: dict[str, int] = {}
        #: What happens when a path has been read, once.
        self.then: dict[str, Callable[[], object]] = {}
        self.gate = threading.Event()
        self.slow: set[str] = set()
        #: What `Authorization` has to say, by path.
        self.wanted: dict[str, str] = {}
        self.requests: list[tuple[str, str]] = []

    def put(self, path: str, data: bytes, **headers: str) -> str:
        """Makes a page; returns its URL."""
        self.pages[path] = data
        self.headers[path] = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.url + path

    def count(self, verb: str) -> int:
        """Returns how many requests of a kind there were."""
        return sum(found == verb for found, _ in self.requests)


@contextmanager
def web_server() -> Iterator[Web]:
    """Serves until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(body=True)

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def _answer(self, *, body: bool) -> None:
            web.requests.append((self.command, self.path))
            if self.path in web.slow:
                web.gate.wait(30)
            failures = web.failures.get(self.path)
            status = failures.pop(0) if failures else web.always.get(self.path, 200)
            if self.headers.get("Authorization") != web.wanted.get(self.path, self.headers.get("Authorization")):
                status = 401
            data = web.pages.get(self.path)
            if data is None and status == 200:
                status = 404
            self.send_response_only(status)
            if status == 200 and data is not None:
                headers = web.headers[self.path]
                for name, value in headers.items():
                    self.send_header(name, value)
                if "Transfer-Encoding" not in headers:
                    self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if body:
                    if then := web.then.pop(self.path, None):
                        then()
                    with suppress(ConnectionError):  # whoever asked may have gone
                        self.wfile.write(data)
            else:
                self.send_header("Content-Length", "0")
                self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128  # many ask at once, and whoever finds no room asks again after a second

    server = Server(("127.0.0.1", 0), Handler)
    web = Web(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield web
    finally:
        web.gate.set()
        server.shutdown()
        server.server_close()
        thread.join()
