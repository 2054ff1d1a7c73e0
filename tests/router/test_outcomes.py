"""Outcomes of others: what is read, and what is refused by file, line, field and remedy."""

from pathlib import Path

import numpy as np
import pytest

from router.outcomes import BadOutcomes, read_outcomes

PROMPTS = 'prompt_id,category,prompt\na,Sums,"One, two?"\nb,Code,Two?\n'
OUTCOMES = "prompt_id,model,score,energy_j\na,small,1,2.5\na,large,0.5,9\nb,large,0,8\n"
HEAD = "prompt_id,model,score,energy_j\n"


def folder(tmp_path: Path, prompts: str | bytes = PROMPTS, outcomes: str | bytes = OUTCOMES) -> Path:
    for name, content in (("prompts.csv", prompts), ("outcomes.csv", outcomes)):
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return tmp_path


class TestReads:
    def test_every_cell_in_its_place(self, tmp_path: Path) -> None:
        found = read_outcomes(folder(tmp_path))
        assert (found.prompt_ids, found.texts) == (("a", "b"), ("One, two?", "Two?"))
        assert (found.models, found.unit) == (("large", "small"), "J")
        assert [found.category_names[number] for number in found.categories] == ["Sums", "Code"]
        np.testing.assert_equal(found.scores, [[0.5, 1], [0, np.nan]])
        np.testing.assert_equal(found.costs, [[9, 2.5], [8, np.nan]])

    def test_sci_as_well(self, tmp_path: Path) -> None:
        assert read_outcomes(folder(tmp_path, outcomes=OUTCOMES.replace("energy_j", "sci_gco2e"))).unit == "gCO2e"

    def test_a_file_with_a_byte_order_mark(self, tmp_path: Path) -> None:
        assert read_outcomes(folder(tmp_path, prompts=b"\xef\xbb\xbf" + PROMPTS.encode())).prompt_ids == ("a", "b")

    def test_missing_cells_and_tells_how_many(self, tmp_path: Path) -> None:
        found = read_outcomes(folder(tmp_path, outcomes=OUTCOMES + "b,small,1,\n"))
        assert found.notices == ("1 of 4 cells have no cost; they are left out of every figure.",)

    def test_tells_of_like_texts_and_a_single_category(self, tmp_path: Path) -> None:
        prompts = "prompt_id,category,prompt\na,Sums,One?\nb,Sums,One?\n"
        notices = read_outcomes(folder(tmp_path, prompts)).notices
        assert any("1 prompts have the text of another" in notice for notice in notices)
        assert any("one category only (Sums)" in notice for notice in notices)


@pytest.mark.parametrize(
    ("prompts", "outcomes", "message"),
    [
        (PROMPTS, HEAD + "c,large,1,1\n", "outcomes.csv, line 2: prompt_id 'c' is not in prompts.csv"),
        (PROMPTS, HEAD + "a,large,1.5,1\n", "outcomes.csv, line 2: score is '1.5'; it must lie between 0 and 1"),
        (PROMPTS, HEAD + "a,large,nan,1\n", "score is 'nan'"),
        (PROMPTS, HEAD + "a,large,yes,1\n", "score is 'yes'"),
        (PROMPTS, HEAD + "a,large,1,0\n", "outcomes.csv, line 2: energy_j is '0'; it must be above 0"),
        (PROMPTS, HEAD + "a,large,1,-3\n", "energy_j is '-3'"),
        (PROMPTS, HEAD + "a,large,1,inf\n", "energy_j is 'inf'"),
        (PROMPTS, HEAD + "a,,1,1\n", "model is empty"),
        (PROMPTS, HEAD + "a,large,1,1\na,large,0,1\n", "line 3: prompt 'a' and model 'large' are there twice"),
        (PROMPTS, HEAD + "a,large,1\n", "outcomes.csv, line 2: it has not as many fields as line 1"),
        (PROMPTS, HEAD + "a,large,,1\n", "the model 'large' has no score at all"),
        (PROMPTS, HEAD + "a,large,1,\n", "the model 'large' has no cost at all"),
        (PROMPTS, HEAD, "outcomes.csv: it has no line"),
        (PROMPTS, "", "outcomes.csv: there is no column prompt_id and no column model and no column score"),
        (PROMPTS, "prompt_id,model,score\na,large,1\n", "there is no column energy_j or sci_gco2e"),
        (PROMPTS + "a,Sums,Again?\n", OUTCOMES, "prompts.csv, line 4: prompt_id 'a' is there twice"),
        (PROMPTS + "c,,Again?\n", OUTCOMES, "prompts.csv, line 4: category is empty"),
        (PROMPTS + "c,Sums, \n", OUTCOMES, "prompts.csv, line 4: prompt is empty"),
        ("prompt_id,category,prompt\n", OUTCOMES.splitlines()[0], "prompts.csv: it has no prompt"),
        (PROMPTS.encode() + b"c,Sums,\xff\n", OUTCOMES, "is no UTF-8; save the file as UTF-8"),
    ],
)
def test_refuses(prompts: str | bytes, outcomes: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(BadOutcomes) as refused:
        read_outcomes(folder(tmp_path, prompts, outcomes))
    assert message in str(refused.value)


def test_names_the_file_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "prompts.csv").write_text(PROMPTS)
    with pytest.raises(BadOutcomes, match=r"outcomes.csv: there is none in"):
        read_outcomes(tmp_path)


def test_tells_of_many_problems_the_first_and_how_many(tmp_path: Path) -> None:
    lines = "".join(f"a,model {number},2,1\n" for number in range(50))
    with pytest.raises(BadOutcomes) as refused:
        read_outcomes(folder(tmp_path, outcomes=HEAD + lines))
    assert len(refused.value.problems) == 50
    assert str(refused.value).endswith("... and 30 more.")
