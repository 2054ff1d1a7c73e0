import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.datasets.files import LineError, PromptFileError
from benchmarks.importing import ImportedPrompts, import_prompts
from benchmarks.models import Category, Dataset, Prompt

pytestmark = pytest.mark.django_db


def row(number: int, **fields: Any) -> dict[str, Any]:
    return {"id": f"p-{number}", "prompt": f"What is {number} + 1?", **fields}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "prompts.jsonl"


def bring(path: Path, *rows: dict[str, Any], dataset: str = "sums", **options: str) -> ImportedPrompts:
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return import_prompts(path=path, dataset_name=dataset, category_name="math", **options)


def refusals(path: Path, *rows: dict[str, Any], dataset: str = "sums") -> list[LineError]:
    with pytest.raises(PromptFileError) as caught:
        bring(path, *rows, dataset=dataset)
    return caught.value.errors


def stored() -> tuple[int, int, list[tuple[object, ...]]]:
    """Return all that an import could have changed."""
    prompts = Prompt.objects.order_by("pk").values_list("external_id", "text", "role", "position", "category_id")
    return Dataset.objects.count(), Category.objects.count(), list(prompts)


class TestImportPrompts:
    def test_stores_every_field(self, path: Path) -> None:
        checks = {"kind": "number", "value": "5"}

        imported = bring(path, row(4, item="4 + 1", reference="5", checks=checks, role="validation", level="easy"))

        prompt = Prompt.objects.get()
        assert (imported.created_count, imported.unchanged_count) == (1, 0)
        assert (prompt.dataset, prompt.category.name, prompt.category.title) == (imported.dataset, "math", "Math")
        assert (prompt.external_id, prompt.position, prompt.role) == ("p-4", 1, "validation")
        assert (prompt.text, prompt.item_text, prompt.reference) == ("What is 4 + 1?", "4 + 1", "5")
        assert (prompt.checks, prompt.source_fields) == (checks, {"level": "easy"})

    def test_keeps_the_licence_and_where_it_is_from(self, path: Path) -> None:
        imported = bring(path, row(1), licence="CC0", source_url="https://example.org/sums")

        assert (imported.dataset.licence, imported.dataset.source_url) == ("CC0", "https://example.org/sums")

    def test_adds_a_licence_that_was_not_known_but_never_replaces_one(self, path: Path) -> None:
        bring(path, row(1))
        bring(path, row(1), licence="CC0")
        bring(path, row(1), licence="MIT")

        assert Dataset.objects.get().licence == "CC0"

    def test_of_the_same_file_again_changes_nothing(self, path: Path) -> None:
        rows = [row(number, checks={"kind": "number", "value": number + 1}) for number in range(60)]
        bring(path, *rows)
        before = stored()

        imported = bring(path, *rows)

        assert (imported.created_count, imported.unchanged_count) == (0, 60)
        assert stored() == before

    def test_of_a_longer_file_adds_what_is_new_behind_the_rest(self, path: Path) -> None:
        bring(path, row(1), row(2))

        imported = bring(path, row(1), row(2), row(3))

        assert (imported.created_count, imported.unchanged_count) == (1, 2)
        assert Prompt.objects.get(external_id="p-3").position == 3

    def test_numbers_each_category_by_itself(self, path: Path) -> None:
        for category in ("math", "code"):
            rows = [json.dumps(row(number, id=f"{category}-{number}")) for number in (1, 2)]
            path.write_text("\n".join(rows), encoding="utf-8")
            import_prompts(path=path, dataset_name="both", category_name=category)

        assert list(Prompt.objects.order_by("pk").values_list("category__name", "position")) == [
            ("math", 1), ("math", 2), ("code", 1), ("code", 2),
        ]  # fmt: skip

    def test_goes_on_after_the_highest_position(self, path: Path) -> None:
        bring(path, row(1, position=7), row(2), row(3, position=3), row(4))

        positions = Prompt.objects.order_by("external_id").values_list("position", flat=True)
        assert list(positions) == [7, 8, 3, 9]

    def test_takes_a_csv_file(self, tmp_path: Path) -> None:
        path = tmp_path / "a.csv"
        path.write_text('prompt,category,checks\n"Two\nlines",code,"{""kind"": ""exact""}"\n', encoding="utf-8")

        import_prompts(path=path, dataset_name="sums", category_name=None)

        prompt = Prompt.objects.get()
        assert (prompt.text, prompt.external_id, prompt.category.name) == ("Two\nlines", "a-2", "code")

    @pytest.mark.parametrize("is_new", [True, False], ids=["new data set", "known data set"])
    @pytest.mark.parametrize(
        "bad",
        [{"id": "p-37", "prompt": ""}, {"id": "p-1", "prompt": "twice"}, row(37, position=5), row(37, role="x")],
        ids=["empty", "id twice", "position twice", "role"],
    )
    def test_of_a_file_with_a_broken_line_37_stores_nothing(
        self, path: Path, is_new: bool, bad: dict[str, Any]
    ) -> None:
        if not is_new:
            bring(path, row(1, position=1), row(100, position=100))
        before = stored()
        rows = [row(number, position=number) for number in range(1, 61)]
        rows[36] = bad

        (error,) = refusals(path, *rows)

        assert error.line == 37
        assert stored() == before

    @pytest.mark.parametrize(
        ("changed", "named"),
        {
            "text": ({"prompt": "What is one more?", "item": "What is 1 + 1?"}, "text"),
            "item": ({"item": "1 + 1"}, "item"),
            "reference": ({"reference": "3"}, "reference"),
            "checks": ({"checks": {"kind": "number", "value": "3"}}, "checks"),
            "role": ({"role": "validation"}, "role"),
            "position": ({"position": 9}, "position"),
            "two of them": ({"role": "unused", "position": 9}, "role, position"),
        }.values(),
    )
    def test_refuses_a_known_prompt_that_is_another_one_now(
        self, path: Path, changed: dict[str, Any], named: str
    ) -> None:
        bring(path, row(1), row(2))
        before = stored()

        (error,) = refusals(path, row(0), row(1, **changed))

        assert (error.line, error.field) == (2, "id")
        assert error.message == f"'p-1' is in sums with another {named}; use another data set name"
        assert stored() == before

    def test_refuses_a_known_prompt_in_another_category(self, path: Path) -> None:
        bring(path, row(1))

        with pytest.raises(PromptFileError, match="'p-1' is in sums with another category"):
            import_prompts(path=path, dataset_name="sums", category_name="code")

        assert not Category.objects.filter(name="code").exists()

    def test_refuses_a_position_that_a_stored_prompt_holds(self, path: Path) -> None:
        bring(path, row(1))

        (error,) = refusals(path, row(2, position=1))

        assert str(error) == "line 1, position: 1 is held by 'p-1' already"

    def test_lets_another_data_set_have_the_same_prompts(self, path: Path) -> None:
        bring(path, row(1))

        assert bring(path, row(1, prompt="Another"), dataset="other").created_count == 1

    @pytest.mark.parametrize("name", ["two words", "x" * 61, "", "a/b"])
    def test_refuses_a_data_set_name_that_is_not_plain(self, path: Path, name: str) -> None:
        (error,) = refusals(path, row(1), dataset=name)

        assert error.field == "dataset"
        assert not Dataset.objects.exists()
