"""Servers for tests: each a process of its own that ends with its test, and what redun is told of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from redun.core.files.remote import options

HERE = Path(__file__).parent
BUCKET = "data"


class Server(NamedTuple):
    """A server: what the URLs of files on it begin with, the settings that it takes, and its process."""

    url: str
    settings: Mapping[str, Any]
    process: subprocess.Popen[str]

    def kill(self) -> None:
        """Ends it at once, whatever it is doing."""
        self.process.kill()
        self.process.wait()


@contextmanager
def _started(script: str, *words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, str(HERE / script), *words]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline()
        finally:
            process.stdin.close()
            process.wait(30)


@contextmanager
def s3_server() -> Iterator[Server]:
    """Runs a server that speaks S3, with an empty bucket."""
    import s3fs

    with _started("s3_server.py") as (process, line):
        settings = {"endpoint_url": f"http://127.0.0.1:{int(line)}", "key": "ada", "secret": "open sesame"}
        s3fs.S3FileSystem(**settings).mkdir(BUCKET)
        yield Server(f"s3://{BUCKET}", {"s3": settings}, process)


@contextmanager
def sftp_server(directory: Path) -> Iterator[Server]:
    """Runs an SFTP server for a directory; its key is among no known hosts."""
    with _started("sftp_server.py", str(directory)) as (process, line):
        settings = {"password": "open sesame", "host_key_policy": "auto_add"}
        yield Server(f"sftp://ada@127.0.0.1:{int(line.split()[0])}", {"sftp": settings}, process)


@contextmanager
def ftp_server(directory: Path) -> Iterator[Server]:
    """Runs an FTP server for a directory."""
    with _started("ftp_server.py", str(directory)) as (process, line):
        yield Server(f"ftp://ada@127.0.0.1:{int(line)}", {"ftp": {"password": "open sesame"}}, process)


@contextmanager
def told(settings: Mapping[str, Any], timeout: int = 30) -> Iterator[None]:
    """Makes settings hold meanwhile."""
    before = options.current()
    options.configure(options.FileOptions(settings, timeout))
    try:
        yield
    finally:
        options.configure(before)
