"""Commands piped into a program that has enough."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_WITH = "from greenllm.readers_end import ending_with_reader\nwith ending_with_reader():\n    "
_STATUS = 141  # what a shell tells of a program that a closed pipe has ended


def closed_after(code: list[str], read: int) -> tuple[int, bytes]:
    """Run Python, read so many bytes of what it prints, close the pipe, and return its status and errors."""
    running = subprocess.Popen(
        [sys.executable, *code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert running.stdin is not None
    assert running.stdout is not None
    assert running.stderr is not None
    with running.stdin, running.stdout, running.stderr:
        running.stdout.read(read)
        running.stdout.close()
        running.stdin.write(b"\n")  # now it may go on
        running.stdin.flush()
        return running.wait(), running.stderr.read()


class TestEndingWithReader:
    @pytest.mark.parametrize(
        "body",
        [
            pytest.param("print('first', flush=True); input(); print('x' * 10**6)", id="while it prints"),
            pytest.param("print('first', flush=True); input(); print('little')", id="at its end"),
            pytest.param("print('first', flush=True); input(); print('little'); raise SystemExit(0)", id="as it exits"),
        ],
    )
    def test_is_quiet_whenever_nobody_reads_any_more(self, body: str) -> None:
        assert closed_after(["-c", f"{_WITH}{body}"], len("first\n")) == (_STATUS, b"")

    def test_passes_on_a_broken_pipe_to_something_else(self) -> None:
        run = subprocess.run(
            [sys.executable, "-c", f"{_WITH}raise BrokenPipeError('the server is gone')"],
            cwd=ROOT, capture_output=True, check=False, text=True,
        )  # fmt: skip
        assert (run.returncode, run.stderr.strip().splitlines()[-1]) == (1, "BrokenPipeError: the server is gone")

    @pytest.mark.slow
    def test_is_what_every_command_runs_in(self) -> None:
        code = "import sys; input(); sys.argv = ['manage.py', 'help']; import manage; manage.main()"
        assert closed_after(["-c", f"print('first', flush=True); {code}"], len("first\n")) == (_STATUS, b"")
