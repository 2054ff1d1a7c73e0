from io import StringIO

import pytest
from django.core.management import call_command

from benchmarks.datasets import DATASETS
from benchmarks.models import Category
from labeling.guiding import ensure_guidelines, guidelines_in_force
from labeling.models import Guideline
from tests.labeling.test_demo_prompts import CATEGORIES

pytestmark = pytest.mark.django_db


def make_category(name: str) -> Category:
    return Category.objects.create(name=name)


class TestGuidelineInForce:
    def test_is_the_latest_of_the_category(self) -> None:
        math, code = make_category("math"), make_category("code")
        Guideline.objects.create(category=math, version=2, text="Newer.")
        Guideline.objects.create(category=math, version=1, text="Older.")
        assert guidelines_in_force([math.pk, code.pk])[math.pk].text == "Newer."
        assert code.pk not in guidelines_in_force([math.pk, code.pk])

    def test_is_the_one_for_every_category_where_there_is_no_other(self) -> None:
        math, code = make_category("math"), make_category("code")
        Guideline.objects.create(category=math, version=1, text="For math.")
        Guideline.objects.create(category=None, version=5, text="For all.")
        found = guidelines_in_force([math.pk, code.pk])
        assert {pk: guideline.text for pk, guideline in found.items()} == {math.pk: "For math.", code.pk: "For all."}


class TestEnsureGuidelines:
    def test_brings_one_for_each_category_of_the_demo_once(self) -> None:
        for name in [*CATEGORIES, "poetry"]:
            make_category(name)
        assert ensure_guidelines() == len(CATEGORIES)
        assert ensure_guidelines() == 0
        assert set(Guideline.objects.values_list("category__name", flat=True)) == set(CATEGORIES)
        for guideline in Guideline.objects.all():
            assert guideline.text.startswith("Correct: ")
            assert "Incorrect: " in guideline.text

    def test_leaves_an_own_one_alone(self) -> None:
        own = Guideline.objects.create(category=make_category("math"), version=3, text="Own words.")
        assert ensure_guidelines() == 0
        assert list(Guideline.objects.all()) == [own]

    def test_knows_the_categories_of_the_published_data_sets(self) -> None:
        assert {published.category for published in DATASETS.values()} <= set(CATEGORIES)

    def test_can_be_called_as_a_command(self) -> None:
        make_category("math")
        said = StringIO()
        call_command("add_guidelines", stdout=said)
        assert said.getvalue() == "1 guideline added; what is there stays as it is.\n"
