"""Generated input for everything that reads what others send, and a table of what broke: `make fuzz`."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random

import django

import tests.environment  # noqa: F401  a folder of its own, before Django reads its settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "greenllm.settings")
django.setup()

from tests.fuzz.coverage_guided import fuzz_by_coverage  # noqa: E402  Django is set up by now
from tests.fuzz.frames import fuzz_board, fuzz_replies, fuzz_requests, fuzz_traces  # noqa: E402
from tests.fuzz.parsers import file_targets, fuzz, wire_targets  # noqa: E402
from tests.fuzz.tally import Tally, is_count_reached, print_table, tally_of  # noqa: E402

_ROWS_OF_REQUESTS = 4  # spoilt, by Schemathesis, pages, bundles
_NO_REQUESTS = {"rows of study bundles"}


def main() -> int:
    """Run every part; return 1 where anything broke or hung."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=1_000_000, help="frames of the measuring board")
    parser.add_argument("--traces", type=int, default=50_000, help="packed traces of samples")
    parser.add_argument("--inputs", type=int, default=10_000, help="files or bodies for each reader")
    parser.add_argument("--guided", type=int, default=100_000, help="inputs by coverage for each reader, with atheris")
    parser.add_argument("--requests", type=int, default=20_000, help="requests to the served application; 0: none")
    parser.add_argument("--only-requests", action="store_true", dest="is_only_requests", help="leave out all else")
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    others = [] if wanted.is_only_requests else [*_frames(wanted), *_readers(wanted)]
    requests = _requests(wanted.requests)
    print_table([*others, *requests])
    is_enough = is_count_reached([one for one in requests if one.name not in _NO_REQUESTS], wanted.requests)
    return 0 if is_enough and all(one.is_clean for one in [*others, *requests]) else 1


def _frames(wanted: argparse.Namespace) -> list[Tally]:
    random = Random(wanted.seed)
    tenth = wanted.frames // 10
    replies = fuzz_replies(random, wanted.frames - 5 * tenth)
    return [
        replies,
        fuzz_requests(random, 4 * tenth),
        fuzz_board(random, tenth),
        fuzz_traces(random, wanted.traces),
    ]


def _readers(wanted: argparse.Namespace) -> list[Tally]:
    with tempfile.TemporaryDirectory(prefix="greenllm-fuzz-") as place:
        targets = [*file_targets(Path(place)), *wire_targets()]
        found = []
        for number, target in enumerate(targets):
            (folder := Path(place) / str(number)).mkdir()
            found.append(fuzz(target, Random(wanted.seed + number), wanted.inputs, folder))
        return [*found, *fuzz_by_coverage(wanted.guided)]


def _requests(count: int) -> list[Tally]:
    """Have pytest serve the application over a database of its own, and ask it; its tests tell each its row."""
    if not count:
        return [Tally("requests to the served application", skipped="--requests 0")]
    with tempfile.TemporaryDirectory(prefix="greenllm-fuzz-") as place:
        rows = Path(place) / "rows.jsonl"
        rows.touch()
        environment = {**os.environ, "GREENLLM_FUZZ_REQUESTS": str(count), "GREENLLM_FUZZ_TALLY": str(rows)}
        tests = ["tests/fuzz/test_requests.py", "tests/fuzz/test_bundles.py"]
        # two installations side by side: each waits for its own answers most of the time
        command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", *tests]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        found = [tally_of(json.loads(line)) for line in rows.read_text(encoding="utf8").splitlines()]
    if len(found) != _ROWS_OF_REQUESTS:
        broken = Tally("requests to the served application")
        broken.note(f"pytest ended with {run.returncode} and {len(found)} rows", run.stdout[-3000:])
        found.append(broken)
    return found


if __name__ == "__main__":
    sys.exit(main())
