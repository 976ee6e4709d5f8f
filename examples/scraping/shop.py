"""The shop: a web server on this machine, with pages from a directory. Every fifth request fails, as they do.

python shop.py PORT [DIRECTORY]
"""

import hashlib
import itertools
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

REQUESTS = itertools.count(1)
PAGES = Path(sys.argv[2] if len(sys.argv) > 2 else "pages")


class Shop(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        data = (PAGES / Path(self.path).name).read_bytes()
        if next(REQUESTS) % 5 == 0:
            self.send_error(503, "too busy")
            return
        self.send_response(200)
        self.send_header("ETag", hashlib.sha256(data).hexdigest()[:12])
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *args: object) -> None:
        print(f"shop: {self.command} {self.path}: {args[2]}", file=sys.stderr)


with ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Shop) as server:
    print(f"serving {PAGES} on port {server.server_address[1]}", flush=True)
    server.serve_forever()
