"""A slice of `make fuzz`: every reader bears spoilt input, and says what is wrong with each known bad file."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from labeling.exchanging.fields import Refusal
from tests.fuzz.bad_files import BadFile, bad_files
from tests.fuzz.frames import fuzz_board, fuzz_replies, fuzz_requests, fuzz_traces
from tests.fuzz.parsers import Target, file_targets, fuzz, sound_backup, wire_targets
from tests.fuzz.tally import Tally, each, is_count_reached, print_table, record_of, tally_of

_SEED = 20_260_131
_OF_KIND = {
    "prompts": "prompts in JSON lines", "outcomes": "tables of outcomes", "labels": "labels: told from the file",
    "federation": "federation files", "bundles": "study bundles", "backups": "backups",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readers")


@pytest.fixture(scope="module")
def targets(folder: Path) -> list[Target]:
    return [*file_targets(folder), *wire_targets()]


class TestFrames:
    @pytest.mark.parametrize("run", [fuzz_replies, fuzz_requests, fuzz_board, fuzz_traces])
    def test_are_read_or_refused(self, run: Callable[[Random, int], Tally]) -> None:
        tally = run(Random(_SEED), 1000)

        assert tally.is_clean, tally.examples
        assert tally.generated == 1000


class TestReaders:
    def test_take_what_is_sound(self, targets: list[Target], tmp_path: Path) -> None:
        for target in targets:
            folder = tmp_path / str(targets.index(target))
            folder.mkdir()
            target.read(target.sound, folder)

    @pytest.mark.slow
    def test_bear_what_is_spoilt(self, targets: list[Target], tmp_path: Path) -> None:
        for target in targets:
            folder = tmp_path / str(targets.index(target))
            folder.mkdir()
            tally = fuzz(target, Random(_SEED), 100, folder)
            assert tally.is_clean, tally.examples


class TestBadFiles:
    @pytest.mark.slow
    def test_are_refused_by_field_and_with_a_remedy(self, targets: list[Target], folder: Path, tmp_path: Path) -> None:
        readers = {target.name: target for target in targets}
        files = bad_files(sound_backup(folder))
        wrong = []
        for number, bad in enumerate(files):
            (own := tmp_path / str(number)).mkdir()
            said = said_of(bad, readers[_OF_KIND[bad.kind]], own)
            if not all(part in said.lower() for part in bad.told):
                wrong.append(f"{bad.name}: {said[:300]}")
        assert not wrong, "\n".join(wrong)
        assert len(files) > 80


def said_of(bad: BadFile, target: Target, folder: Path) -> str:
    """Return what the reader says of a file: its refusal, or those of its lines."""
    try:
        found = target.read(bad.content, folder)
    except target.refusals as error:
        return str(error)
    return "\n".join(str(one) for one in found if isinstance(one, Refusal)) if isinstance(found, list) else ""


class TestTally:
    def test_comes_whole_out_of_another_process(self) -> None:
        tally = Tally("divisions", generated=3, refused=1, seconds=0.5)
        tally.note("ZeroDivisionError at one.py:1", "1 / 0")
        tally.note("500 from /", ("get", "/"))
        assert tally_of(json.loads(json.dumps(record_of(tally)))) == tally

    def test_is_missed_where_fewer_were_asked_than_wanted(self, capsys: pytest.CaptureFixture[str]) -> None:
        tallies = [Tally("both wires", generated=7), Tally("pages", generated=2), Tally("more", skipped="not here")]
        assert is_count_reached(tallies, 9)
        assert not is_count_reached(tallies, 10)
        told = " ".join(capsys.readouterr().out.splitlines()[-1].split())
        assert told == "requests in all 9 of 10 wanted: MISSED"

    def test_tells_faults_by_their_place(self, capsys: pytest.CaptureFixture[str]) -> None:
        tally = Tally("divisions")

        def one(number: int) -> None:
            try:
                1 / (number % 2)
            except ZeroDivisionError as error:
                tally.fault(error, number)

        print_table([each(tally, 10, one), Tally("another", skipped="not here")])

        told = capsys.readouterr().out
        assert not tally.is_clean
        assert "5 x ZeroDivisionError" in told
        assert "SKIPPED: not here" in told

    @pytest.mark.slow
    def test_tells_a_hang_by_processor_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tests.fuzz.tally._BATCH_S", 0.05)

        def one(_number: int) -> None:
            while True:
                os.getpid()

        tally = each(Tally("endless"), 5, one)

        assert (tally.generated, tally.hangs, tally.is_clean) == (1, 1, False)
