"""Input that is changed towards code not reached before, by atheris where it is installed; each reader in a process.

`python -m tests.fuzz.coverage_guided NAME RUNS` is one of these processes: libFuzzer ends it after so many inputs, at
the first error that is no refusal, and at an input that takes too long.
"""

import importlib.util
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.fuzz.tally import HANG_S, Tally, timed

_NOT_HERE = "atheris is not installed: pip install atheris==3.0.0"
_LONGEST_S = 300
_COUNTED = re.compile(r"number_of_executed_units: (\d+)")
_TIMED_OUT = 70  # libFuzzer's exit code


def fuzz_by_coverage(runs: int) -> list[Tally]:
    """Run each reader on so many inputs, sought by coverage."""
    if importlib.util.find_spec("atheris") is None:
        return [Tally("by coverage (atheris)", skipped=_NOT_HERE)]
    return [_fuzzed(name, runs) for name in READERS]


def _fuzzed(name: str, runs: int) -> Tally:
    tally = Tally(f"by coverage: {name}")
    command = [sys.executable, "-m", "tests.fuzz.coverage_guided", name, str(runs)]
    with timed(tally):
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    told = done.stdout + done.stderr
    counted = _COUNTED.search(told)
    tally.generated = int(counted[1]) if counted else 0
    if done.returncode == _TIMED_OUT:
        tally.hangs += 1
        tally.examples["hang"] = told[-2000:]
    elif done.returncode or not tally.generated:
        tally.note(f"exit code {done.returncode}", told[-2000:])
    return tally


def _frames() -> tuple[Callable[[bytes], object], tuple[type[Exception], ...], bytes]:
    from benchmarks.meters.mcp_frames import ForbiddenFrame, FrameError, parse_data_reply, require_harmless

    def read(content: bytes) -> None:
        try:
            require_harmless(content)
        except ForbiddenFrame:
            parse_data_reply(content, 8)

    return read, (FrameError,), bytes.fromhex("060B7A02000039300000F6")


def _traces() -> tuple[Callable[[bytes], object], tuple[type[Exception], ...], bytes]:
    from benchmarks.meters.base import Quantity
    from benchmarks.traces import PackedTrace, TraceError, unpack

    def read(content: bytes) -> None:
        count = content[0] if content else 0
        unpack(PackedTrace(Quantity.POWER_MW, 99_000_000, 0, 0, 1000, count, content[1:]))

    return read, (TraceError,), bytes((2, 0, 2, 4, 2))


def _chats() -> tuple[Callable[[bytes], object], tuple[type[Exception], ...], bytes]:
    import json

    from router.wire import WireError, parse_chat_request
    from tests.fuzz.sound import CHAT

    return parse_chat_request, (WireError,), json.dumps(CHAT).encode()


def _federations() -> tuple[Callable[[bytes], object], tuple[type[Exception], ...], bytes]:
    from benchmarks.federation_file import FederationFileError, read_federation_file
    from tests.fuzz.sound import FEDERATION

    path = Path(tempfile.mkdtemp(prefix="greenllm-fuzz-")) / "federation.toml"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        read_federation_file(path=path, default_machine="here")

    return read, (FederationFileError,), FEDERATION.encode()


READERS = {"frames": _frames, "traces": _traces, "chat bodies": _chats, "federation files": _federations}


def main(name: str, runs: int) -> None:
    """Be the process of one reader; libFuzzer ends it."""
    import atheris

    with atheris.instrument_imports(include=["benchmarks", "router"]):
        read, refusals, seed = READERS[name]()

    def one(content: bytes) -> None:
        try:
            read(content)
        except refusals:
            return

    corpus = Path(tempfile.mkdtemp(prefix="greenllm-corpus-"))
    (corpus / "seed").write_bytes(seed)
    limits = [
        "-print_final_stats=1",
        f"-runs={runs}",
        f"-timeout={HANG_S:.0f}",
        f"-max_total_time={_LONGEST_S}",
        "-max_len=4096",
    ]
    atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={corpus}/", str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
