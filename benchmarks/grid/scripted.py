"""A twin of both live services: the same wires on a port of this machine, with a given intensity and given faults."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from benchmarks.grid.exchange import MAX_ANSWER_BYTES, SIMULATED_SERVER

_HALF_HOUR = timedelta(minutes=30)
_HANG_S = 30.0


class GridFault(StrEnum):
    """How the twin can fail, whatever it is asked."""

    SILENT = "silent"
    CUT = "cut"
    GARBAGE = "garbage"
    HUGE = "huge"
    BUSY = "busy"
    BROKEN = "broken"
    MOVED = "moved"
    REFUSED = "refused"


@dataclass
class GridScript:
    """What the twin says: intensities by zone in gCO2e/kWh; for Great Britain the zones are `GB` and region numbers."""

    intensities: dict[str, float]
    clock: Callable[[], datetime]
    key: str = ""
    is_metered: bool = True  # whether the present half hour, or hour, is measured and not estimated
    fault: GridFault | None = None
    replaced: dict[str, Any] = field(default_factory=dict)  # fields of the answer that it gets wrong
    paths: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)


class ScriptedGrid:
    """The twin as a server; use it in a `with` block."""

    def __init__(self, script: GridScript, *, port: int = 0) -> None:
        self.script = script
        self._server = _GridServer(("127.0.0.1", port), script)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self) -> str:
        """Return the address that takes the place of the official one."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.script.stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _GridServer(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, address: tuple[str, int], script: GridScript) -> None:
        self.script = script
        super().__init__(address, _GridHandler)


class _GridHandler(BaseHTTPRequestHandler):
    server: _GridServer
    timeout = 10
    server_version = SIMULATED_SERVER
    sys_version = ""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the parameter's name is inherited
        """Keep silent; the script holds the record."""

    def do_GET(self) -> None:
        script = self.server.script
        script.paths.append(self.path)
        parts = urlsplit(self.path)
        if script.fault is not None:
            self._fail(script.fault)
        elif parts.path == "/carbon-intensity/latest":
            self._electricity_maps(parse_qs(parts.query).get("zone", [""])[0])
        elif parts.path == "/intensity":
            self._great_britain("GB", None)
        elif parts.path.startswith("/regional/regionid/"):
            number = parts.path.rpartition("/")[2]
            self._great_britain(number, int(number) if number.isdecimal() else 0)
        else:
            self._send(HTTPStatus.NOT_FOUND, {"error": {"code": "404 Not Found", "message": "no such path"}})

    def _electricity_maps(self, zone: str) -> None:
        script = self.server.script
        if script.key and self.headers.get("auth-token") != script.key:
            self._send(HTTPStatus.UNAUTHORIZED, {"error": "Invalid auth-token"})
        elif zone not in script.intensities:
            self._send(HTTPStatus.NOT_FOUND, {"error": f"Zone {zone} does not exist."})
        else:
            now = script.clock()
            body = {
                "zone": zone,
                "carbonIntensity": script.intensities[zone],
                "datetime": _wire(now.replace(minute=0, second=0, microsecond=0)),
                "updatedAt": _wire(now),
                "emissionFactorType": "lifecycle",
                "isEstimated": not script.is_metered,
                "estimationMethod": None if script.is_metered else "TIME_SLICER_AVERAGE",
            }
            self._send(HTTPStatus.OK, body | script.replaced)

    def _great_britain(self, zone: str, region: int | None) -> None:
        script = self.server.script
        value = script.intensities.get(zone)
        if value is None:
            self._send(HTTPStatus.BAD_REQUEST, {"error": {"code": "400 Bad Request", "message": "no such region"}})
            return
        now = script.clock()
        start = now.replace(minute=now.minute // 30 * 30, second=0, microsecond=0)
        intensity: dict[str, Any] = {"forecast": value, "index": "moderate"}
        if region is None:
            intensity["actual"] = value if script.is_metered else None
        half_hour = {"from": _wire(start), "to": _wire(start + _HALF_HOUR), "intensity": intensity} | script.replaced
        data = half_hour if region is None else {"regionid": region, "shortname": "simulated", "data": [half_hour]}
        self._send(HTTPStatus.OK, {"data": [data]})

    def _fail(self, fault: GridFault) -> None:
        match fault:
            case GridFault.SILENT:
                self.server.script.stopped.wait(_HANG_S)
                self.close_connection = True
            case GridFault.CUT:
                self._begin(HTTPStatus.OK, 1000)
                self.wfile.write(b'{"data": [')
                self.close_connection = True
            case GridFault.GARBAGE:
                self._write(HTTPStatus.OK, b"<html>Down for maintenance</html>")
            case GridFault.HUGE:
                self._write(HTTPStatus.OK, b" " * (MAX_ANSWER_BYTES + 1))
            case GridFault.BUSY:
                self._send(HTTPStatus.TOO_MANY_REQUESTS, {"error": "too many requests"})
            case GridFault.BROKEN:
                self._send(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": {"code": "500 Internal Server Error"}})
            case GridFault.MOVED:
                self._send(HTTPStatus.FOUND, {})
            case GridFault.REFUSED:
                self._send(HTTPStatus.FORBIDDEN, {"error": "Access denied"})

    def _send(self, status: HTTPStatus, body: dict[str, Any]) -> None:
        self._write(status, json.dumps(body).encode())

    def _write(self, status: HTTPStatus, content: bytes) -> None:
        self._begin(status, len(content))
        try:
            self.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client has had enough

    def _begin(self, status: HTTPStatus, length: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(length))
        self.end_headers()


def _wire(moment: datetime) -> str:
    """Write a moment as both services do: UTC, to the minute."""
    return moment.strftime("%Y-%m-%dT%H:%MZ")
