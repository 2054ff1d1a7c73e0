"""What the supervisor needs to know of one service."""

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from greenllm.embedded.spawning import Isolation


class ServiceState(StrEnum):
    """Where a service stands between its first start and its end."""

    WAITING = "waiting"  # asked for, or about to be started again
    SETTING_UP = "setting up"  # its one-time command runs
    STARTING = "starting"
    READY = "ready"
    FAILED = "failed"
    STOPPED = "stopped"


def nothing() -> None:
    """Do nothing: the default of a service's steps."""


@dataclass(frozen=True)
class Service:
    """One server process: how to start it, how to tell that it works, how to stop it."""

    name: str
    argv: tuple[str, ...]
    address: str
    log_path: Path
    is_ready: Callable[[], bool]
    # Runs once before the first start, quickly; raises EmbeddedError when the service cannot work.
    prepare: Callable[[], None] = nothing
    # A command to run once before the first start, or None when its work is already done.
    setup_argv: Callable[[], tuple[str, ...] | None] = lambda: None
    # Runs when that command has succeeded.
    after_setup: Callable[[], object] = nothing
    # Runs once when the service first answers.
    finish: Callable[[], None] = nothing
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    # What the kernel sends when the supervisor is killed.
    death_signal: signal.Signals = signal.SIGTERM
    isolation: Isolation = Isolation.PLAIN
    # Whether the next supervisor must wait until this process of the former one is gone.
    holds_lock: bool = True
    # A program that cannot be asked counts as ready when it has run this long.
    settle_s: float = 0.0
    remedy: str = ""
