"""A real FTP server in a process of its own: prints its port, serves a directory, ends with its standard input."""

from __future__ import annotations

import logging
import os
import sys
import threading

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer

logging.disable()
users = DummyAuthorizer()
users.add_user("ada", "open sesame", sys.argv[1], perm="elradfmwMT")
FTPHandler.authorizer = users
server = FTPServer(("127.0.0.1", 0), FTPHandler)
sys.stdout.write(f"{server.address[1]}\n")
sys.stdout.flush()


def _end() -> None:
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=_end, daemon=True).start()
server.serve_forever()
