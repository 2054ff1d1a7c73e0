import json
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

DEMO_FOLDER = Path(__file__).resolve().parents[3] / "benchmarks" / "datasets" / "demo"
CATEGORIES = ("code", "math", "questions", "sql", "translation")
TRAIN_COUNT = 12
PROMPT_COUNT = 14
LONGEST_LINE = 1500

CHECK_FIELDS = {
    "number": ({"kind", "value"}, set[str]()),
    "exact": ({"kind", "answers"}, set[str]()),
    "contains": ({"kind", "answers"}, {"forbidden"}),
}
NUMBER = r"(?:(?<!\w)-)?\d[\d,]*(?:\.\d+)?(?:/[1-9]\d*)?"


@dataclass(frozen=True, slots=True)
class Checks:
    kind: str
    value: str = ""
    answers: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()

    def accept(self, answer: str) -> bool:
        if self.kind == "number":
            return final_number(answer) == Fraction(self.value)
        if self.kind == "exact":
            return bare(answer) in {bare(accepted) for accepted in self.answers}
        return any(has_words(answer, words) for words in self.answers) and not any(
            has_words(answer, words) for words in self.forbidden
        )


@dataclass(frozen=True, slots=True)
class DemoPrompt:
    id: str
    position: int
    role: str
    item: str
    prompt: str
    reference: str
    checks: Checks


def fold(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def bare(text: str) -> str:
    """Fold the text and drop the punctuation and symbols around it."""
    folded = fold(text)
    around = {character for character in folded if unicodedata.category(character)[0] in "PS"}
    return folded.strip("".join(around) + " ")


def has_words(text: str, words: str) -> bool:
    """Say whether the folded words stand in the folded text without a letter or digit against either end."""
    return re.search(rf"(?<!\w){re.escape(fold(words))}(?!\w)", fold(text)) is not None


def final_number(text: str) -> Fraction | None:
    """Read the number after '####', else after 'answer is', else the last one in the text."""
    for pattern in (rf"####\s*\$?({NUMBER})", rf"(?i)answer is:?\s*\$?({NUMBER})", rf"({NUMBER})"):
        found = re.findall(pattern, text)
        if found:
            return Fraction(found[-1].replace(",", ""))
    return None


def read_rows(category: str) -> list[dict[str, Any]]:
    lines = (DEMO_FOLDER / f"{category}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def read_checks(row: dict[str, Any]) -> Checks:
    return Checks(
        kind=row["kind"],
        value=row.get("value", ""),
        answers=tuple(row.get("answers", ())),
        forbidden=tuple(row.get("forbidden", ())),
    )


def read_prompts(category: str) -> list[DemoPrompt]:
    return [DemoPrompt(**{**row, "checks": read_checks(row["checks"])}) for row in read_rows(category)]


def all_prompts() -> list[DemoPrompt]:
    return [prompt for category in CATEGORIES for prompt in read_prompts(category)]


def find_prompt(prompt_id: str) -> DemoPrompt:
    (found,) = [prompt for prompt in all_prompts() if prompt.id == prompt_id]
    return found


def test_the_folder_holds_the_five_categories() -> None:
    assert sorted(path.stem for path in DEMO_FOLDER.glob("*.jsonl")) == sorted(CATEGORIES)


def test_no_item_or_prompt_is_there_twice() -> None:
    for field in ("id", "item", "prompt"):
        counts = Counter(fold(getattr(prompt, field)) for prompt in all_prompts())
        assert [text for text, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("category", CATEGORIES)
class TestCategoryFile:
    def test_every_line_has_the_same_fields(self, category: str) -> None:
        fields = {"id", "position", "role", "item", "prompt", "reference", "checks"}
        assert [row for row in read_rows(category) if set(row) != fields] == []

    def test_no_line_is_long(self, category: str) -> None:
        lines = (DEMO_FOLDER / f"{category}.jsonl").read_text(encoding="utf-8").splitlines()
        assert [line for line in lines if len(line) > LONGEST_LINE] == []

    def test_positions_count_up_from_one(self, category: str) -> None:
        positions = [prompt.position for prompt in read_prompts(category)]
        assert positions == list(range(1, PROMPT_COUNT + 1))

    def test_ids_name_category_and_position(self, category: str) -> None:
        for prompt in read_prompts(category):
            assert prompt.id == f"demo-{category}-{prompt.position:02d}"

    def test_the_last_two_are_for_validation(self, category: str) -> None:
        roles = [prompt.role for prompt in read_prompts(category)]
        assert roles == ["train"] * TRAIN_COUNT + ["validation"] * (PROMPT_COUNT - TRAIN_COUNT)

    def test_prompts_put_the_same_words_around_the_item(self, category: str) -> None:
        around = set()
        for prompt in read_prompts(category):
            before, item, after = prompt.prompt.partition(prompt.item)
            assert item == prompt.item != ""
            around.add((before, after))
        assert len(around) == 1
        assert around != {("", "")}


@pytest.mark.parametrize("category", CATEGORIES)
class TestChecksOfCategory:
    def test_fields_fit_the_kind(self, category: str) -> None:
        for row in read_rows(category):
            checks = row["checks"]
            needed, optional = CHECK_FIELDS[checks["kind"]]
            assert needed <= set(checks) <= needed | optional
            assert all(checks.values()), "an empty list or value would accept or refuse everything"

    def test_accept_the_reference(self, category: str) -> None:
        refused = [p.id for p in read_prompts(category) if not p.checks.accept(p.reference)]
        assert refused == []

    def test_accept_every_listed_answer(self, category: str) -> None:
        for prompt in read_prompts(category):
            for answer in (*prompt.checks.answers, prompt.checks.value or prompt.reference):
                assert prompt.checks.accept(answer), (prompt.id, answer)

    def test_refuse_the_prompt_said_back(self, category: str) -> None:
        for prompt in read_prompts(category):
            assert not prompt.checks.accept(prompt.item), prompt.id
            assert not prompt.checks.accept(prompt.prompt), prompt.id

    def test_refuse_an_answer_without_content(self, category: str) -> None:
        for prompt in read_prompts(category):
            for answer in ("", "  ", "...", "I do not know.", "The answer to this question is:"):
                assert not prompt.checks.accept(answer), (prompt.id, answer)

    def test_refuse_the_references_of_the_other_prompts(self, category: str) -> None:
        prompts = read_prompts(category)
        taken = [
            (prompt.id, other.id)
            for prompt in prompts
            for other in prompts
            if prompt is not other and prompt.checks.accept(other.reference)
        ]
        assert taken == []


@pytest.mark.parametrize(
    ("prompt_id", "answer"),
    [
        ("demo-code-01", "`def`"),
        ("demo-code-03", "The built-in `max()` function returns the largest item."),
        ("demo-code-05", "Boolean."),
        ("demo-code-07", "It prints:\n```\n[1, 2, 3]\n```"),
        ("demo-code-09", "```python\nitems[-1]\n```"),
        ("demo-code-11", "Use `not n % 2`."),
        ("demo-math-01", "7"),
        ("demo-math-02", "Eva has 9 - 4 = 5 plums left."),
        ("demo-math-07", "20 * 5 = 100.\n#### 100"),
        ("demo-math-12", "The answer is 80, since 2 times 40 is 80 and not 42."),
        ("demo-math-14", "**240 rolls**"),
        ("demo-questions-01", "The capital of Italy is Rome."),
        ("demo-questions-06", "johann wolfgang von GOETHE"),
        ("demo-questions-08", "They take in CO₂."),
        ("demo-questions-11", "The River Thames"),
        ("demo-sql-02", "SELECT MAX(price) AS highest_price FROM product;"),
        ("demo-sql-05", "```sql\nselect avg(film.rating)\nfrom film;\n```\nThis works where ratings are set."),
        ("demo-sql-07", 'SELECT * FROM city WHERE country="Spain";'),
        ("demo-sql-08", "SELECT animal.* FROM animal WHERE animal.kind = 'bird';"),
        ("demo-sql-12", "SELECT * FROM lake ORDER BY depth ASC;"),
        ("demo-translation-01", 'The German word "Apfel" translates to "apple".'),
        ("demo-translation-03", "Town"),
        ("demo-translation-11", "“Casa”"),
    ],
)
def test_checks_accept_other_right_phrasings(prompt_id: str, answer: str) -> None:
    assert find_prompt(prompt_id).checks.accept(answer)


@pytest.mark.parametrize(
    ("prompt_id", "answer"),
    [
        ("demo-code-01", "The keyword `lambda` or `def`."),
        ("demo-code-02", "It yields a generator."),
        ("demo-code-03", "The `maximum()` function."),
        ("demo-code-04", "`float()` does, then int."),
        ("demo-code-07", "[3, 1, 2]"),
        ("demo-code-09", "items[1]"),
        ("demo-code-12", "The number of characters is 4."),
        ("demo-math-01", "Mia has 3 apples more."),
        ("demo-math-02", "9 - 4 = 6, so 6 plums are left."),
        ("demo-math-07", "The answer is 100000."),
        ("demo-math-14", "30 * 8 = 240, so the answer is 24."),
        ("demo-questions-03", "The capital of Turkey is Istanbul."),
        ("demo-questions-04", "It is Venus, not Mercury."),
        ("demo-questions-07", "Isaac Newton, before Einstein."),
        ("demo-questions-09", "Aurum, written Aur"),
        ("demo-sql-01", "SELECT MAX(height) FROM towers;"),
        ("demo-sql-02", "SELECT MAX(price) FROM product\nWHERE price > 100;"),
        ("demo-sql-06", "SELECT COUNT(*) FROM visitor WHERE id = 1;"),
        ("demo-sql-07", "SELECT name FROM city WHERE country = 'Spain';"),
        ("demo-sql-09", "SELECT * FROM house WHERE rooms = 4 AND street = 'Main';"),
        ("demo-sql-11", "SELECT * FROM worker WHERE salary > 50000;"),
        ("demo-sql-12", "SELECT * FROM lake ORDER BY depth DESC;"),
        ("demo-translation-03", 'It means "towns".'),
        ("demo-translation-05", '"dog" or "hound"'),
        ("demo-translation-07", 'The French word "rouge" is "rouge" in English.'),
    ],
)
def test_checks_refuse_near_misses(prompt_id: str, answer: str) -> None:
    assert not find_prompt(prompt_id).checks.accept(answer)
