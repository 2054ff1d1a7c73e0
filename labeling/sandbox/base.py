"""What a sandbox is: it runs one program with limits and says how that ended."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

OUTPUT_LIMIT_BYTES = 64 * 1024


class Killed(StrEnum):
    """Why a sandbox ended a program before it ended itself."""

    NO = ""
    TIME = "time"
    OUTPUT = "output"


@dataclass(frozen=True)
class SandboxResult:
    """How a program ended: what it wrote (64 KiB at most, both streams together) and its exit status.

    A negative status, or one above 128, is a signal's.
    """

    exit_status: int
    stdout: bytes
    stderr: bytes
    duration_s: float
    killed: Killed = Killed.NO


class Sandbox(Protocol):
    """Runs Python programs that nobody trusts. A program sees the standard library and nothing else of the machine."""

    name: str
    is_isolated: bool  # False: limits only; the program reaches files, network and processes

    def run(self, code: str, *, timeout_s: float, memory_bytes: int) -> SandboxResult:
        """Run a program in an interpreter of its own until it ends or a limit ends it.

        Raises:
            SandboxError: the sandbox could not be set up, so the program did not run.
        """
        ...


class SandboxError(Exception):
    """A sandbox could not be set up; nothing was run in it."""


class NoSandbox(SandboxError):
    """No sandbox can be used on this machine; the message says what is missing and what to do."""
