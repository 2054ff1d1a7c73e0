"""Drafts of folders: killed makers leave nothing for long, and several who put theirs in one place do not collide."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from router.draft_folders import draft_folder, put_in_place
from tests.environment import ROOT

_MAKER = """
import sys
from pathlib import Path
from router.draft_folders import draft_folder
with draft_folder(Path(sys.argv[1])) as draft:
    (draft / "half").write_text("made")
    print(draft.name, flush=True)
    sys.stdin.read()
"""


def drafts_in(parent: Path) -> list[str]:
    return sorted(one.name for one in parent.glob("making-*"))


def test_is_gone_afterwards_and_after_a_failure(tmp_path: Path) -> None:
    with draft_folder(tmp_path / "index") as draft:
        assert drafts_in(tmp_path / "index") == [draft.name]
    with pytest.raises(OSError, match="full"), draft_folder(tmp_path / "index"):
        raise OSError("full")
    assert drafts_in(tmp_path / "index") == []


def test_of_a_living_process_stays_and_that_of_a_killed_one_goes(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _MAKER, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as maker:
        assert maker.stdout is not None
        name = maker.stdout.readline().strip()
        with draft_folder(tmp_path) as mine:
            assert drafts_in(tmp_path) == sorted([name, mine.name])
        maker.kill()
        maker.wait()
        assert drafts_in(tmp_path) == [name]
        with draft_folder(tmp_path) as mine:
            assert drafts_in(tmp_path) == [mine.name]


def test_of_an_earlier_version_goes(tmp_path: Path) -> None:
    (tmp_path / "making-4711-3").mkdir()
    with draft_folder(tmp_path) as mine:
        assert drafts_in(tmp_path) == [mine.name]


def test_are_put_in_one_place_by_many_at_once(tmp_path: Path) -> None:
    target = tmp_path / "known"

    def make(number: int) -> None:
        with draft_folder(tmp_path) as draft:
            made = draft / "table"
            made.mkdir()
            for name in ("a", "b"):
                (made / name).write_text(str(number))
            put_in_place(made, target)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(make, range(60)))
    assert {one.name for one in tmp_path.iterdir()} == {"known"}
    assert (target / "a").read_text() == (target / "b").read_text()
