from pathlib import Path

import pytest

from benchmarks.meters.recorded import RecordingFileError, read_steps
from benchmarks.meters.replay import Step


def written(folder: Path, text: str, *, encoding: str = "utf8") -> Path:
    path = folder / "recording.csv"
    path.write_text(text, encoding=encoding)
    return path


class TestReadSteps:
    def test_holds_a_power_until_the_next_moment(self, tmp_path: Path) -> None:
        path = written(tmp_path, "time_s,power_w\n0,10\n2.5,60.5\n3,0\n")

        assert read_steps(path) == [Step(2.5, 10.0), Step(0.5, 60.5)]

    def test_takes_samples_as_means_since_the_one_before(self, tmp_path: Path) -> None:
        """As the view has them, with more columns, saved by a spreadsheet."""
        path = written(
            tmp_path,
            "channel,at_ns,power_mw\nmachine,500000000,1\nmachine,600000000,25000\nmachine,700000000,50000\n",
            encoding="utf-8-sig",
        )

        assert read_steps(path) == [Step(0.1, 25.0), Step(0.1, 50.0)]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "the first line must name"),
            ("seconds,watts\n0,1\n", "the first line must name"),
            ("time_s,power_w\n0,1\n1,x\n", "line 3: time_s and power_w must be numbers"),
            ("time_s,power_w\n0,1\n1,nan\n", "line 3: time_s and power_w must be numbers"),
            ("at_ns,power_mw\n0,1\ninf,1\n", "line 3: at_ns and power_mw must be numbers"),
            ("time_s,power_w\n0,1\n1\n", "line 3: time_s and power_w must be numbers"),
            ("time_s,power_w\n1,1\n0,1\n", "cannot be played"),
            ("at_ns,power_mw\n1,1\n", "two readings"),
            ("at_ns,power_mw\n1,1\n2,1\n3,1\n9,1\n", "nothing was recorded"),
        ],
        ids=[
            "empty",
            "other columns",
            "a word",
            "no number",
            "infinite",
            "a short row",
            "backwards",
            "one sample",
            "a hole",
        ],
    )
    def test_names_what_is_wrong(self, tmp_path: Path, text: str, message: str) -> None:
        with pytest.raises(RecordingFileError, match=message):
            read_steps(written(tmp_path, text))

    def test_names_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(RecordingFileError, match=r"none\.csv cannot be read"):
            read_steps(tmp_path / "none.csv")

    def test_refuses_what_is_no_text(self, tmp_path: Path) -> None:
        (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x81")

        with pytest.raises(RecordingFileError, match="cannot be read"):
            read_steps(tmp_path / "binary.csv")
