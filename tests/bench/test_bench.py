import pytest

from tests.bench import accuracy
from tests.bench.table import Table

pytestmark = pytest.mark.slow


class TestAccuracy:
    def test_prints_each_figure_beside_its_target(self, capsys: pytest.CaptureFixture[str]) -> None:
        table = Table()

        accuracy.run(table, starts=8)

        told = capsys.readouterr().out
        for title in accuracy.METERS.values():
            assert f"energy, 5 s, {title}" in told
        assert "< 0.5 %, max 1 %" in told
        assert not [name for name in table.missed if "interval" in name]  # simulated time and fixed seeds: no chance


class TestTable:
    def test_says_what_was_missed(self, capsys: pytest.CaptureFixture[str]) -> None:
        table = Table()
        table.below("lateness", 3.0, 2.0, "ms", n=5)
        table.below("memory", 3.0, 40.0, "MB")
        table.skipped("another tracker", "not here")
        assert table.missed == ["lateness"]
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[-1] for line in lines[1:3]] == ["MISSED", "ok"]
        assert "SKIPPED" in lines[3]
