"""A real server that speaks S3 in a process of its own: prints its port, ends with its standard input."""

from __future__ import annotations

import os
import sys

from moto.server import ThreadedMotoServer

server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
sys.stdout.write(f"{server.get_host_and_port()[1]}\n")
sys.stdout.flush()
sys.stdin.read()
os._exit(0)
