import pytest

from benchmarks.published_study import CATEGORIES, CELLS, MODELS, PROMPTS_PER_CELL, published_name_of


class TestPublishedFigures:
    def test_have_eight_models_in_five_categories(self) -> None:
        assert (len(MODELS), len(CATEGORIES), len(CELLS)) == (8, 5, 40)

    def test_add_up_to_what_the_paper_spent(self) -> None:
        assert sum(cell.sum_sci_gco2e for cell in CELLS.values()) == pytest.approx(341.42, abs=0.005)

    def test_leave_something_for_the_wrong_answers(self) -> None:
        for cell in CELLS.values():
            right = round(cell.accuracy * PROMPTS_PER_CELL)
            left = cell.sum_sci_gco2e - right * cell.mean_sci_of_right_gco2e
            assert left > 0, cell


class TestPublishedName:
    @pytest.mark.parametrize(
        ("model", "name"),
        [("llama3", "llama3"), ("llama3:8b-instruct", "llama3"), ("me/Mistral:latest", "mistral"), ("llama3.2", None)],
    )
    def test_knows_a_model_by_any_tag(self, model: str, name: str | None) -> None:
        assert published_name_of(model) == name
