from typing import Any

import pytest

from benchmarks.choosing import choose_prompts
from benchmarks.models import Dataset, Prompt
from tests.factories import make_prompt

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def prompts() -> None:
    """Two categories in one data set, one of them also in another, with every role."""
    for text, category, role in (
        ("m1", "math", "train"),
        ("m2", "math", "train"),
        ("mv1", "math", "validation"),
        ("mu", "math", "unused"),
        ("c1", "code", "train"),
        ("cv1", "code", "validation"),
        ("cv2", "code", "validation"),
    ):
        make_prompt(text, category=category, role=role)
    other = Dataset.objects.create(name="other")
    Prompt.objects.filter(pk=make_prompt("o1", category="math").pk).update(dataset=other)


def chosen(**options: Any) -> list[str]:
    return [prompt.text for prompt in choose_prompts(**{"datasets": ["test", "other"], **options})]


class TestChoosePrompts:
    @pytest.mark.parametrize(
        ("options", "texts"),
        [
            pytest.param({}, "c1 cv1 cv2 m1 m2 mv1 o1", id="everything by category"),
            pytest.param({"datasets": ["other"]}, "o1", id="one data set"),
            pytest.param({"datasets": []}, "", id="no data set"),
            pytest.param({"categories": ["code"]}, "c1 cv1 cv2", id="one category"),
            pytest.param({"roles": ["train"]}, "c1 m1 m2 o1", id="training only"),
            pytest.param({"roles": ["validation"]}, "cv1 cv2 mv1", id="validation only"),
            pytest.param({"roles": ["unused"]}, "", id="never unused ones"),
            pytest.param({"limit": 2}, "c1 cv1 m1 m2", id="a limit per category"),
            pytest.param({"limit": 1, "is_limit_per_role": True}, "c1 cv1 m1 mv1", id="a limit per role"),
            pytest.param({"limit": 3}, "c1 cv1 cv2 m1 m2 mv1", id="a limit over data sets"),
        ],
    )
    def test_takes_what_is_asked_in_order(self, options: dict[str, Any], texts: str) -> None:
        assert chosen(**options) == texts.split()

    def test_counts_without_reading_the_prompts(self) -> None:
        assert choose_prompts(datasets=["test"], limit=1, is_limit_per_role=True).count() == 4
