"""Start, stop and look at background services; see `python -m greenllm.embedded.control --help`."""

import argparse
import json
import logging
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from greenllm.embedded.addresses import EmbeddedLayout
from greenllm.embedded.catalog import SERVICE_NAMES, embedded_services
from greenllm.embedded.errors import EmbeddedError
from greenllm.embedded.locking import AlreadyRunningError, is_locked, read_pid
from greenllm.embedded.probes import port_answers
from greenllm.embedded.service import ServiceState
from greenllm.embedded.spawning import latest_lines
from greenllm.embedded.state import ServiceRecord, read_state
from greenllm.embedded.supervisor import START_TIMEOUT_S, ServiceEvent, Supervisor

logger = logging.getLogger(__name__)

_PROJECT = Path(__file__).resolve().parents[2]
_POLL_S = 0.02


class ControlError(EmbeddedError):
    """The background supervisor did not do what it was asked."""


@dataclass(frozen=True)
class ServiceStatus:
    """One service as a connection to it tells; `record` is what its supervisor last wrote, if any."""

    name: str
    address: str
    is_up: bool
    record: ServiceRecord | None


def running(layout: EmbeddedLayout) -> bool:
    """Tell whether a supervisor, in the background or not, owns the folder."""
    return is_locked(layout.lock_path)


def status(layout: EmbeddedLayout) -> list[ServiceStatus]:
    """Ask every service whether it answers; takes up to a second for one that hangs.

    Raises:
        EmbeddedError: the wheel of a service is not installed.
    """
    state = read_state(layout.state_path)
    records = {record.name: record for record in state.services} if state else {}
    statuses = [
        ServiceStatus(service.name, service.address, service.is_ready(), records.pop(service.name, None))
        for service in embedded_services(layout)
    ]
    owned = running(layout)
    for record in records.values():
        _, _, port = record.address.rpartition(":")
        is_up = owned and record.state is ServiceState.READY and (not port or port_answers(int(port)))
        statuses.append(ServiceStatus(record.name, record.address, is_up, record))
    return statuses


def start_detached(
    layout: EmbeddedLayout, names: Sequence[str] = SERVICE_NAMES, timeout_s: float = START_TIMEOUT_S
) -> None:
    """Start a supervisor that outlives this process and its terminal, and wait until its services answer.

    Raises:
        AlreadyRunningError: a supervisor owns the folder.
        ControlError: the services could not be started; the text is the supervisor's own.
    """
    if running(layout):
        raise AlreadyRunningError(layout.lock_path, read_pid(layout.lock_path))
    layout.log_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    log_path = layout.log_dir / "supervisor.log"
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "greenllm.embedded.control", "run", "--detach"]
    command += [f"--report-fd={writing}", f"--timeout={timeout_s}", f"--var={layout.var_dir.absolute()}"]
    command += [f"--chroma-port={layout.chroma_port}", f"--llm-port={layout.llm_port}"]
    command += [f"--services={','.join(names)}"]
    try:
        with log_path.open("ab") as log:
            subprocess.run(
                command,
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(writing,),
                cwd=_PROJECT,
            )
    except (OSError, subprocess.CalledProcessError) as error:
        os.close(reading)
        raise ControlError(f"The supervisor cannot be started: {error}\n{latest_lines(log_path)}") from error
    finally:
        os.close(writing)
    failure = _read_report(reading, timeout_s + 60.0)
    if failure is not None:
        raise ControlError(failure or f"The supervisor ended. End of {log_path}:\n{latest_lines(log_path)}")


def stop_detached(layout: EmbeddedLayout, timeout_s: float = 90.0) -> bool:
    """Stop the supervisor of a folder with its services and wait until it is gone; False when none ran.

    Raises:
        ControlError: it still runs after `timeout_s` seconds, or its pid is unknown.
    """
    if not running(layout):
        return False
    pid = read_pid(layout.lock_path)
    if pid is None:
        raise ControlError(f"A supervisor holds {layout.lock_path} but its pid is not in it.")
    os.kill(pid, signal.SIGTERM)
    give_up_at_s = time.monotonic() + timeout_s
    while running(layout):
        if time.monotonic() >= give_up_at_s:
            raise ControlError(f"The supervisor still runs after {timeout_s:g} s. Run: kill -9 {pid}")
        time.sleep(_POLL_S)
    return True


def _read_report(descriptor: int, timeout_s: float) -> str | None:
    """Return None when the supervisor reports success, its error, or "" when it ended without a word."""
    with os.fdopen(descriptor, "rb") as pipe:
        if not select.select([pipe], [], [], timeout_s)[0]:
            raise ControlError(f"The supervisor said nothing for {timeout_s:g} s.")
        line = pipe.readline()
    if not line:
        return ""
    error: str | None = json.loads(line)["error"]
    return error


def _write_report(descriptor: int | None, error: str | None) -> None:
    if descriptor is not None:
        with os.fdopen(descriptor, "wb") as pipe:
            pipe.write(json.dumps({"error": error}).encode("ascii") + b"\n")


def _detach() -> None:
    """Leave the caller's process tree, so that it need not reap us, and its terminal."""
    if os.fork():
        os._exit(0)
    os.setsid()


def _end_on_signal(_number: int, _frame: FrameType | None) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    raise SystemExit(0)


def _log_event(event: ServiceEvent) -> None:
    logger.info("%s is %s %s", event.service, event.state, event.detail)


def _run(wanted: argparse.Namespace) -> int:
    if wanted.detach:
        _detach()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end_on_signal)
    layout = _layout(wanted)
    try:
        supervisor = Supervisor(layout, embedded_services(layout, wanted.services.split(",")), _log_event)
        supervisor.start(wanted.timeout)
    except EmbeddedError as error:
        logger.error("%s", error)  # noqa: TRY400  the text says what to do; a traceback would hide it
        _write_report(wanted.report_fd, str(error))
        return 1
    try:
        _write_report(wanted.report_fd, None)
        while True:
            signal.pause()
    finally:
        supervisor.stop()


def _stop(wanted: argparse.Namespace) -> int:
    return 0 if stop_detached(_layout(wanted)) else 3


def _show(wanted: argparse.Namespace) -> int:
    for found in status(_layout(wanted)):
        sys.stdout.write(f"{found.name:<10} {'up' if found.is_up else 'down':<5} {found.address}\n")
    return 0


def _layout(wanted: argparse.Namespace) -> EmbeddedLayout:
    return EmbeddedLayout(wanted.var, chroma_port=wanted.chroma_port, llm_port=wanted.llm_port)


def _parser() -> argparse.ArgumentParser:
    places = argparse.ArgumentParser(add_help=False)
    places.add_argument("--var", type=Path, required=True, help="folder of data, logs and sockets")
    places.add_argument("--chroma-port", type=int, default=EmbeddedLayout.chroma_port)
    places.add_argument("--llm-port", type=int, default=EmbeddedLayout.llm_port)
    parser = argparse.ArgumentParser(prog="python -m greenllm.embedded.control", description=__doc__)
    actions = parser.add_subparsers(required=True)
    run = actions.add_parser("run", parents=[places], help="run the services until SIGTERM or Ctrl-C")
    run.add_argument("--services", default=",".join(SERVICE_NAMES))
    run.add_argument("--timeout", type=float, default=START_TIMEOUT_S, help="seconds to become ready")
    run.add_argument("--detach", action="store_true", help="go on in the background")
    run.add_argument("--report-fd", type=int, help="descriptor that gets one JSON line when ready or failed")
    run.set_defaults(action=_run)
    actions.add_parser("stop", parents=[places], help="stop the services").set_defaults(action=_stop)
    actions.add_parser("status", parents=[places], help="ask each service").set_defaults(action=_show)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one action of the command line and return its exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    wanted = _parser().parse_args(arguments)
    code: int = wanted.action(wanted)
    return code


if __name__ == "__main__":
    raise SystemExit(main())
