"""Resource limits without walls: for machines where an admin accepts that generated code sees what we see."""

import tempfile

from labeling.sandbox.base import SandboxResult
from labeling.sandbox.interpreter import python_command
from labeling.sandbox.running import run_limited


class RlimitSandbox:
    """Limits time, memory, files and output, and nothing else: files can be read, the network reached.

    Root's processes are not even counted (Linux applies RLIMIT_NPROC to other users only).
    """

    name = "rlimits"
    is_isolated = False

    def run(self, code: str, *, timeout_s: float, memory_bytes: int) -> SandboxResult:
        """Run a program with limits in an empty folder."""
        with tempfile.TemporaryDirectory(prefix="greenllm-code-") as folder:
            command = python_command(timeout_s=timeout_s, memory_bytes=memory_bytes)
            return run_limited(command, code, timeout_s=timeout_s, cwd=folder)
