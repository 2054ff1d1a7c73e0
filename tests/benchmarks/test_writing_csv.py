"""CSV on the output of a command that somebody reads a part of."""

import subprocess
import sys

_WRITING = """
import sys
from benchmarks.management.writing import write_csv
write_csv(columns=["number"], rows=((number,) for number in range(1_000_000)), output=sys.stdout, path=None)
"""


def test_ends_without_a_traceback_where_the_reader_has_enough() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _WRITING], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as writing:
        assert writing.stdout is not None
        assert writing.stderr is not None
        assert writing.stdout.readline() == "number\n"
        writing.stdout.close()
        assert writing.stderr.read() == ""
    assert writing.returncode == 141  # what a shell tells of a program that a closed pipe has ended
