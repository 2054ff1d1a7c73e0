"""The web server and the workers: programs whose command lines the caller gives."""

import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from greenllm.embedded.addresses import LOOPBACK, EmbeddedLayout
from greenllm.embedded.probes import port_answers, port_check
from greenllm.embedded.service import Service, nothing


def web_program(
    layout: EmbeddedLayout,
    argv: Sequence[str],
    *,
    port: int,
    name: str = "web",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Service:
    """Describe a web server that counts as ready when it accepts connections on its port of this machine."""
    return _program(
        layout,
        name,
        argv,
        address=f"http://{LOOPBACK}:{port}",
        is_ready=lambda: port_answers(port),
        prepare=port_check(port, variable="GREENLLM_WEB_PORT", service="the web server"),
        settle_s=0.0,
        env=env,
        cwd=cwd,
    )


def worker_program(
    layout: EmbeddedLayout,
    argv: Sequence[str],
    *,
    name: str = "worker",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Service:
    """Describe a worker; it listens nowhere, so it counts as ready when it has run for a second."""
    return _program(
        layout,
        name,
        argv,
        address="",
        is_ready=lambda: True,
        prepare=nothing,
        settle_s=1.0,
        env=env,
        cwd=cwd,
    )


def _program(
    layout: EmbeddedLayout,
    name: str,
    argv: Sequence[str],
    *,
    address: str,
    is_ready: Callable[[], bool],
    prepare: Callable[[], None],
    settle_s: float,
    env: Mapping[str, str] | None,
    cwd: Path | None,
) -> Service:
    return Service(
        name=name,
        argv=tuple(argv),
        address=address,
        log_path=layout.log_dir / f"{name}.log",
        is_ready=is_ready,
        prepare=prepare,
        settle_s=settle_s,
        env=env or {},
        cwd=cwd,
        # Without the services they can finish nothing; after SIGTERM they would wait for requests and jobs.
        death_signal=signal.SIGKILL,
        # A worker's job may outlive a killed supervisor; the next start must not wait for it.
        holds_lock=False,
    )
