import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from labeling import wiring
from labeling.isolation import Finding, check_isolation
from labeling.sandbox import Killed, NoSandbox, Sandbox, SandboxError, SandboxResult, choose_sandbox, choosing
from labeling.sandbox.bubblewrap import BubblewrapSandbox
from labeling.sandbox.rlimits import RlimitSandbox
from labeling.sandbox.syscalls import UnknownArchitecture, system_call_filter
from tests.labeling.sandboxes import real_sandbox

pytestmark = pytest.mark.slow

MEMORY_BYTES = 256 * 1024 * 1024

Run = Callable[..., SandboxResult]


@pytest.fixture(params=["real", "rlimits"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run a program in each kind of sandbox."""
    sandbox = real_sandbox() if request.param == "real" else RlimitSandbox()

    def running(code: str, timeout_s: float = 10, memory_bytes: int = MEMORY_BYTES) -> SandboxResult:
        return sandbox.run(code, timeout_s=timeout_s, memory_bytes=memory_bytes)

    return running


class TestEverySandbox:
    def test_runs_a_program_on_the_standard_library(self, run: Run) -> None:
        result = run("import heapq, re, math, collections\nprint(math.comb(5, 2))")

        assert (result.exit_status, result.stdout, result.killed) == (0, b"10\n", Killed.NO)
        assert 0 < result.duration_s < 10

    def test_keeps_what_a_failing_program_wrote(self, run: Run) -> None:
        result = run("print('before')\nraise ValueError('after')")

        assert (result.exit_status, result.stdout) == (1, b"before\n")
        assert result.stderr.endswith(b"ValueError: after\n")

    def test_takes_programs_longer_than_a_pipe(self, run: Run) -> None:
        assert run(f"text = {'x' * 300_000!r}\nprint(len(text))").stdout == b"300000\n"

    def test_ends_a_program_at_its_time(self, run: Run) -> None:
        result = run("import time\nprint('begun', flush=True)\ntime.sleep(60)", timeout_s=0.5)

        assert (result.killed, result.stdout) == (Killed.TIME, b"begun\n")
        assert 0.5 <= result.duration_s < 30  # the program itself sleeps for 60

    def test_ends_a_program_that_closed_its_output(self, run: Run) -> None:
        assert run("import os, time\nos.close(1)\nos.close(2)\ntime.sleep(60)", timeout_s=0.5).killed is Killed.TIME

    def test_ends_a_program_that_writes_too_much(self, run: Run) -> None:
        result = run("import sys\nprint('out')\nsys.stdout.flush()\nwhile True: sys.stderr.write('x' * 1000)")

        assert result.killed is Killed.OUTPUT
        assert len(result.stdout) + len(result.stderr) == 64 * 1024
        assert result.stdout in (b"out\n", b"")

    def test_keeps_a_program_to_its_memory(self, run: Run) -> None:
        result = run(f"bytearray({MEMORY_BYTES})")

        assert result.exit_status == 1
        assert b"MemoryError" in result.stderr

    def test_gives_no_input_and_no_environment(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GREENLLM_SECRET", "told")

        result = run("import os, sys\nprint(repr(sys.stdin.read()), 'GREENLLM_SECRET' in os.environ)")

        assert result.stdout == b"'' False\n"

    def test_sees_no_installed_package(self, run: Run) -> None:
        assert b"ModuleNotFoundError" in run("import django").stderr

    def test_leaves_no_process_behind(self, run: Run) -> None:
        memory_bytes = MEMORY_BYTES + os.getpid()  # stands in the command line of all that the program leaves
        code = "import os, time\ntry: os.fork()\nexcept OSError: pass\ntime.sleep(987)"

        run(code, timeout_s=0.5, memory_bytes=memory_bytes)

        deadline = time.monotonic() + 5
        while _runs_with(memory_bytes) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not _runs_with(memory_bytes)


def _runs_with(memory_bytes: int) -> bool:
    """Tell whether an interpreter with this limit runs; one that has ended and waits for its parent does not."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"'RLIMIT_AS': {memory_bytes}".encode() in (process / "cmdline").read_bytes():
                return True
        except OSError:
            continue
    return False


class TestBubblewrap:
    def test_costs_less_than_100_ms_a_run(self) -> None:
        sandbox = real_sandbox()

        durations = sorted(sandbox.run("pass", timeout_s=10, memory_bytes=MEMORY_BYTES).duration_s for _ in range(9))

        assert durations[4] < 0.1

    def test_leaves_threads_to_a_program_but_no_process(self) -> None:
        code = "import threading\nthreading.Thread(target=print, args=['thread']).start()\nimport os\nos.fork()"

        result = real_sandbox().run(code, timeout_s=10, memory_bytes=MEMORY_BYTES)

        assert result.stdout == b"thread\n"
        assert b"PermissionError" in result.stderr

    def test_says_when_the_kernel_lets_it_make_no_walls(self, tmp_path: Path) -> None:
        refused = tmp_path / "bwrap"
        refused.write_text("#!/bin/sh\necho 'bwrap: No permissions to create a new namespace' >&2\nexit 1\n")
        refused.chmod(0o755)

        with pytest.raises(SandboxError, match="No permissions to create a new namespace"):
            BubblewrapSandbox(refused).run("pass", timeout_s=10, memory_bytes=MEMORY_BYTES)

    def test_says_when_it_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(SandboxError, match="cannot be started"):
            BubblewrapSandbox(tmp_path / "bwrap").run("pass", timeout_s=10, memory_bytes=MEMORY_BYTES)


class TestSystemCallFilter:
    @pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
    def test_jumps_only_to_its_own_instructions(self, machine: str) -> None:
        compiled = system_call_filter(machine)
        instructions = [compiled[start : start + 8] for start in range(0, len(compiled), 8)]

        for place, instruction in enumerate(instructions):
            assert place + 1 + max(instruction[2], instruction[3]) < len(instructions) or instruction[0] == 0x06

    def test_is_unknown_for_other_processors(self) -> None:
        with pytest.raises(UnknownArchitecture, match="riscv64"):
            system_call_filter("riscv64")


@pytest.fixture
def without_bubblewrap(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def finding() -> Sandbox:
        raise SandboxError("bubblewrap is not installed")

    monkeypatch.setattr(choosing, "find_bubblewrap", finding)
    wiring._found_sandbox.cache_clear()
    yield
    wiring._found_sandbox.cache_clear()


@pytest.mark.usefixtures("without_bubblewrap")
class TestWithoutBubblewrap:
    def test_none_is_chosen(self) -> None:
        with pytest.raises(NoSandbox, match="bubblewrap is not installed.*GREENLLM_ALLOW_WEAK_SANDBOX=yes"):
            choose_sandbox(allow_weak=False)

    def test_the_weak_one_is_chosen_where_an_admin_allowed_it(self) -> None:
        chosen = choose_sandbox(allow_weak=True)

        assert (chosen.name, chosen.is_isolated) == ("rlimits", False)

    def test_the_command_fails_with_what_to_do(self) -> None:
        with pytest.raises(CommandError, match="Install bubblewrap"):
            call_command("check_sandbox")

    @pytest.mark.slow
    def test_the_command_fails_on_the_weak_one(self, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
        settings.ALLOW_WEAK_SANDBOX = True

        with pytest.raises(CommandError, match="hostile programs got through rlimits"):
            call_command("check_sandbox")
        assert "GOT THROUGH  connect to this machine" in capsys.readouterr().out


def findings(sandbox: Sandbox, tmp_path: Path) -> dict[str, Finding]:
    secret = tmp_path / "secret-key"
    secret.write_text("secret")
    found = check_isolation(sandbox=sandbox, files=[secret, Path("/etc/passwd")])
    return {finding.tries.replace(str(tmp_path), "here"): finding for finding in found}


@pytest.mark.slow
class TestCheckIsolation:
    def test_finds_that_bubblewrap_holds_everything(self, tmp_path: Path) -> None:
        found = findings(real_sandbox(), tmp_path)

        assert [tries for tries, finding in found.items() if not finding.is_held] == []
        assert len(found) == 30

    def test_sees_what_limits_alone_let_through_and_leaves_no_file(self, tmp_path: Path) -> None:
        found = findings(RlimitSandbox(), tmp_path)

        through = {tries for tries, finding in found.items() if not finding.is_held}
        assert through >= {
            "connect to this machine",
            "connect by TCP Fast Open, past filters of connect",
            "listen to the network",
            "connect to a Unix socket",
            "read here/secret-key",
            "read /etc/passwd",
            "list here",
            "change the mode of here/secret-key",
            "write files",
            "signal the process that started it",
            "change the limits of that process",
            "read its environment",
            "import posix, run a command",
            "import ctypes, open a socket",
        }
        assert not any(tries.startswith("pass by") for tries in through)
        # no attempt leaves a file behind
        assert [path.name for path in tmp_path.iterdir()] == ["secret-key"]


@pytest.mark.slow
class TestCheckSandboxCommand:
    def test_prints_what_was_held(self, capsys: pytest.CaptureFixture[str]) -> None:
        real_sandbox()

        call_command("check_sandbox")

        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "sandbox: bubblewrap"
        assert all(line.startswith("held ") for line in lines[1:])
        assert any("secret-key" in line for line in lines)
