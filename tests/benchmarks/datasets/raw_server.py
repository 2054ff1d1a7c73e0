"""A home of raw files on this machine that can break off, refuse, ignore ranges and fall silent."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class RawServer:
    """What the server gives; every request is noted with the range that it asked for."""

    content: bytes = b""
    status: int = 200
    break_off_after: list[int] = field(default_factory=list)  # bytes of the next answers, each cut short there
    knows_ranges: bool = True
    is_silent: bool = False
    redirect_to: str = ""
    ranges: list[str] = field(default_factory=list)
    port: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/test.jsonl"


class _Handler(BaseHTTPRequestHandler):
    home: RawServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        home = self.home
        asked = self.headers.get("Range", "")
        home.ranges.append(asked)
        if home.redirect_to and self.path != home.redirect_to:
            self._begin(302, 0, Location=home.redirect_to)
        elif home.status != 200:
            self._begin(home.status, 0)
        elif asked and home.knows_ranges:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(home.content):
                self._begin(416, 0)
            else:
                total = len(home.content)
                self._send(206, home.content[start:], **{"Content-Range": f"bytes {start}-{total - 1}/{total}"})
        else:
            self._send(200, home.content)

    def _begin(self, status: int, length: int, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.send_header("Connection", "close")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self._begin(status, len(body), **headers)
        if self.home.is_silent:
            self.wfile.flush()
            self.home.stopped.wait(10)
        elif self.home.break_off_after:
            self.wfile.write(body[: self.home.break_off_after.pop(0)])
        else:
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Keep the output of the tests clean."""


@contextmanager
def running(home: RawServer) -> Iterator[RawServer]:
    """Serve on a free port of this machine."""
    handler = type("Handler", (_Handler,), {"home": home})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        home.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield home
        finally:
            home.stopped.set()
            server.shutdown()
            thread.join()
