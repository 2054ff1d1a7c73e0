from pathlib import Path

import numpy as np
import pytest

from benchmarks.datasets.outcome_table import UnknownModels
from benchmarks.datasets.outcomes import OutcomeFileError, read_outcomes
from tests.benchmarks.outcome_files import OUTCOMES, PROMPTS, TABLES, needs_published_tables, write_outcomes

HEADER = OUTCOMES[0]


def problems_of(folder: Path) -> list[str]:
    with pytest.raises(OutcomeFileError) as caught:
        read_outcomes(folder)
    return [f"{name}, {error}" for name, error in caught.value.problems]


class TestReadOutcomes:
    def test_puts_each_cell_in_its_place(self, tmp_path: Path) -> None:
        table = read_outcomes(write_outcomes(tmp_path))
        assert (table.prompt_ids, table.models) == (("a", "b", "c"), ("large", "small"))
        assert table.texts[2] == "def f(x):\n  ?"
        assert [table.category_names[number] for number in table.categories] == ["math", "math", "code"]
        assert table.scores.tolist() == [[1, 1], [1, 0], [0.5, 0.25]]
        assert table.costs.tolist() == [[100, 10], [110, 12.5], [120, 11]]
        assert table.cost_kind == "energy_j"

    def test_takes_sci_where_there_is_no_energy(self, tmp_path: Path) -> None:
        outcomes = [HEADER.replace("energy_j", "sci_gco2e"), *OUTCOMES[1:]]
        table = read_outcomes(write_outcomes(tmp_path, outcomes=outcomes))
        assert (table.cost_kind, table.costs[0, 0]) == ("sci_gco2e", 100)

    def test_tells_that_sci_is_passed_over_where_there_is_energy(self, tmp_path: Path) -> None:
        outcomes = [f"{HEADER},sci_gco2e", *(f"{line},7" for line in OUTCOMES[1:])]
        table = read_outcomes(write_outcomes(tmp_path, outcomes=outcomes))
        assert (table.cost_kind, table.costs[0, 0]) == ("energy_j", 100)
        assert any("sci_gco2e: passed over" in notice for notice in table.notices)

    def test_keeps_how_each_cost_came_about(self, tmp_path: Path) -> None:
        outcomes = [f"{HEADER},quality", "a,small,1,10,measured", "b,small,1,10,"]
        table = read_outcomes(write_outcomes(tmp_path, outcomes=outcomes))
        assert table.qualities[:, 0].tolist() == [0, 2, 2]  # measured; estimated where nothing is said

    def test_counts_missing_cells_and_never_takes_them_for_zero(self, tmp_path: Path) -> None:
        table = read_outcomes(write_outcomes(tmp_path, outcomes=[*OUTCOMES[:4], "a,large,1,", "b,large,,110"]))
        assert np.isnan(table.scores[1:, 0]).all()
        assert np.isnan(table.costs[[0, 2], 0]).all()
        assert "score: 2 of 6 cells (prompt and model) have none." in table.notices
        assert "energy_j: 2 of 6 cells (prompt and model) have none." in table.notices

    def test_tells_of_prompts_that_nobody_answered_and_of_a_model_without_costs(self, tmp_path: Path) -> None:
        notices = read_outcomes(write_outcomes(tmp_path, outcomes=[HEADER, "a,small,1,"])).notices
        assert any("2 of 3 prompts have no score" in notice for notice in notices)
        assert any("small has none for any prompt" in notice for notice in notices)
        assert any("nothing can be chosen" in notice for notice in notices)

    def test_keeps_prompts_of_the_same_text_together(self, tmp_path: Path) -> None:
        table = read_outcomes(write_outcomes(tmp_path, prompts=[*PROMPTS, "d,math,2 + 2?"]))
        assert table.text_groups.tolist() == [0, 1, 2, 0]
        assert any("1 prompts repeat" in notice for notice in table.notices)

    def test_tells_what_one_category_means(self, tmp_path: Path) -> None:
        table = read_outcomes(write_outcomes(tmp_path, prompts=[line.replace("code", "math") for line in PROMPTS]))
        assert any("category: there is one only" in notice for notice in table.notices)

    def test_reads_a_file_with_a_byte_order_mark_and_windows_lines(self, tmp_path: Path) -> None:
        raw = ("\ufeff" + "\r\n".join(OUTCOMES)).encode()
        assert read_outcomes(write_outcomes(tmp_path, outcomes=raw)).scores.shape == (3, 2)


BAD_OUTCOMES = {
    "unknown prompt": ("z,small,1,10", "line 8, prompt_id: 'z' is not in prompts.csv"),
    "score above 1": ("c,third,1.5,10", "line 8, score: 1.5 is not from 0"),
    "score below 0": ("c,third,-0.1,10", "line 8, score: -0.1 is not from 0"),
    "score that is not a number": ("c,third,nan,10", "line 8, score: nan is not from 0"),
    "score that is a word": ("c,third,right,10", "line 8, score: 'right' is not a number"),
    "negative energy": ("c,third,1,-3", "line 8, energy_j: -3 is not a number above 0"),
    "no energy at all": ("c,third,1,0", "line 8, energy_j: 0 is not a number above 0"),
    "energy that is not a number": ("c,third,1,nan", "line 8, energy_j: nan is not a number above 0"),
    "endless energy": ("c,third,1,inf", "line 8, energy_j: inf is not a number above 0"),
    "the same cell twice": ("a,small,1,10", "line 8, model: 'small' has an outcome for 'a' on line 2 already"),
    "no model": ("a,,1,10", "line 8, model: it is empty"),
    "a model's name beyond the column": (f"a,{'m' * 201},1,10", "line 8, model: it is longer than 200"),
    "a NUL": ("a,m\0,1,10", "line 8, model: it holds a NUL"),
    "too few cells": ("a,small,1", "line 8: it has fewer cells than the header"),
}


class TestMistakes:
    @pytest.mark.parametrize(("line", "said"), BAD_OUTCOMES.values(), ids=BAD_OUTCOMES)
    def test_are_named_by_file_line_and_field(self, tmp_path: Path, line: str, said: str) -> None:
        problems = problems_of(write_outcomes(tmp_path, outcomes=[*OUTCOMES, line]))
        assert len(problems) == 1
        assert problems[0].startswith(f"outcomes.csv, {said}")

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ("a,math,again", "line 6, prompt_id: 'a' stands on line 2 already"),
            (",math,again", "line 6, prompt_id: it is empty"),
            ("d,no such name,x", "line 6, category: 'no such name' is not a name"),
            ("d,math,", "line 6, prompt: it is empty"),
        ],
    )
    def test_of_prompts_are_named_too(self, tmp_path: Path, line: str, said: str) -> None:
        problems = problems_of(write_outcomes(tmp_path, prompts=[*PROMPTS, line]))
        assert [problem.startswith(f"prompts.csv, {said}") for problem in problems] == [True]

    def test_are_all_told_at_once(self, tmp_path: Path) -> None:
        folder = write_outcomes(tmp_path, [*PROMPTS, "d,math,"], [*OUTCOMES, "a,third,2,1", "b,third,1,0"])
        assert len(problems_of(folder)) == 3

    def test_of_a_prompt_are_not_told_again_for_its_outcomes(self, tmp_path: Path) -> None:
        assert len(problems_of(write_outcomes(tmp_path, [*PROMPTS, "d,math,"], [*OUTCOMES, "d,small,1,1"]))) == 1

    def test_beyond_the_first_twenty_are_counted(self, tmp_path: Path) -> None:
        lines = [f"z{number},small,1,1" for number in range(25)]
        with pytest.raises(OutcomeFileError, match="and 5 more"):
            read_outcomes(write_outcomes(tmp_path, outcomes=[*OUTCOMES, *lines]))

    @pytest.mark.parametrize(
        ("header", "column"),
        [("prompt_id,model,energy_j", "'score'"), ("prompt_id,model,score", "'energy_j' or 'sci_gco2e'")],
    )
    def test_a_missing_column_is_named(self, tmp_path: Path, header: str, column: str) -> None:
        problems = problems_of(write_outcomes(tmp_path, outcomes=[header, "a,small,1"]))
        assert problems == [f"outcomes.csv, line 1: the header line has no column {column}"]

    def test_an_empty_file_is_told(self, tmp_path: Path) -> None:
        problems = problems_of(write_outcomes(tmp_path, b"", [HEADER]))
        assert problems[0] == "prompts.csv, line 1: the header line has no column 'prompt_id'"

    def test_a_file_of_a_header_only_is_told(self, tmp_path: Path) -> None:
        assert problems_of(write_outcomes(tmp_path, outcomes=[HEADER])) == [
            "outcomes.csv, file, model: it holds no outcome"
        ]
        assert problems_of(write_outcomes(tmp_path, PROMPTS[:1])) == ["prompts.csv, file: it holds no prompt"]

    def test_a_model_without_any_score_is_refused(self, tmp_path: Path) -> None:
        problems = problems_of(write_outcomes(tmp_path, outcomes=[*OUTCOMES, "a,third,,10"]))
        assert problems == ["outcomes.csv, file, model: 'third' has no score for any prompt; leave the model out"]

    def test_a_wrong_encoding_is_named_with_its_line(self, tmp_path: Path) -> None:
        raw = "\n".join([*PROMPTS, "d,math,Größe?"]).encode("latin-1")
        problems = problems_of(write_outcomes(tmp_path, prompts=raw))
        assert problems == ["prompts.csv, line 6: it is not UTF-8; save the file as UTF-8"]

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        write_outcomes(tmp_path)
        (tmp_path / "outcomes.csv").unlink()
        assert problems_of(tmp_path) == ["outcomes.csv, file: it cannot be read: No such file or directory"]


class TestOutcomeTable:
    def test_has_the_hash_of_its_cells_in_any_order(self, tmp_path: Path) -> None:
        first = read_outcomes(write_outcomes(tmp_path / "a"))
        shuffled = write_outcomes(tmp_path / "b", [PROMPTS[0], *PROMPTS[:0:-1]], [HEADER, *OUTCOMES[:0:-1]])
        changed = write_outcomes(tmp_path / "c", outcomes=[*OUTCOMES[:-1], "c,large,0.5,121"])
        assert read_outcomes(shuffled).content_hash == first.content_hash
        assert read_outcomes(changed).content_hash != first.content_hash

    def test_of_some_models_has_their_columns(self, tmp_path: Path) -> None:
        table = read_outcomes(write_outcomes(tmp_path)).of_models(["small"])
        assert (table.models, table.costs.tolist()) == (("small",), [[10], [12.5], [11]])

    def test_names_models_that_it_does_not_have(self, tmp_path: Path) -> None:
        table = read_outcomes(write_outcomes(tmp_path))
        with pytest.raises(UnknownModels, match="no 'huge'; the table has large, small"):
            table.of_models(["small", "huge"])


@pytest.mark.slow
@needs_published_tables
@pytest.mark.parametrize(
    ("name", "shape", "text_count", "best"),
    [
        ("zeroeval_small", (2840, 7), 2840, 0.58),
        ("zeroeval_wide", (2840, 10), 2840, 0.73),
        ("llmrouter9", (6108, 9), 5989, 0.62),
    ],
)
def test_published_tables_are_read(name: str, shape: tuple[int, int], text_count: int, best: float) -> None:
    table = read_outcomes(TABLES / name)
    assert table.scores.shape == shape
    assert table.text_groups.max() + 1 == text_count
    assert not np.isnan(table.scores).any()
    assert table.scores.mean(axis=0).max() == pytest.approx(best, abs=0.01)
