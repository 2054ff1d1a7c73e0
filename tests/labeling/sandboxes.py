"""Sandboxes for tests: the real one where this machine has it, and a scripted one."""

from dataclasses import dataclass, field

import pytest

from labeling.sandbox import NoSandbox, Sandbox, SandboxResult, choose_sandbox
from labeling.sandbox.rlimits import RlimitSandbox


def real_sandbox() -> Sandbox:
    try:
        return choose_sandbox(allow_weak=False)
    except NoSandbox as error:
        pytest.skip(str(error))


def no_sandbox() -> Sandbox:
    raise NoSandbox("no sandbox (bubblewrap is not installed)")


@dataclass
class RecordingSandbox:
    """Runs programs as they are, without walls, and calls somebody before each: only for programs of these tests."""

    programs: list[str] = field(default_factory=list)
    name: str = "recording"
    is_isolated: bool = False

    def run(self, code: str, *, timeout_s: float, memory_bytes: int) -> SandboxResult:
        self.programs.append(code)
        return RlimitSandbox().run(code, timeout_s=timeout_s, memory_bytes=memory_bytes)
