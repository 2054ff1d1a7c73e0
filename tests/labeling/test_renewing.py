"""After a change, only what it touched is worked out anew, and always all of that."""

import random
from collections.abc import Callable

import pytest
from django.db import connection, transaction

from benchmarks.models import Category, Measurement, Prompt, Response, Study
from labeling.models import Label
from labeling.renewing import Touched, renewed
from tests import factories as make

pytestmark = pytest.mark.django_db
Cells = dict[str, int]


class Figure:
    """How many answers each deployment has in each category, with how often that was worked out."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.whole_count = 0
        self.touched: list[Touched] = []

    def count(self, touched: Touched | None = None) -> Cells:
        found: Cells = {}
        for one in self.study.responses.select_related("prompt", "measurement"):
            if touched is None or (
                one.deployment_id in touched.deployment_ids and one.prompt.category_id in touched.category_ids
            ):
                key = f"{one.deployment_id} {one.prompt.category_id}"
                weight = 1 if one.measurement is None else int(one.measurement.energy_j or 0)
                found[key] = found.get(key, 0) + 1000 * one.labels.filter(voided_at=None).count() + weight
        return found

    def make(self) -> Cells:
        self.whole_count += 1
        return self.count()

    def renew(self, cells: Cells, touched: Touched) -> Cells:
        self.touched.append(touched)
        pairs = {f"{one} {other}" for one in touched.deployment_ids for other in touched.category_ids}
        return {key: n for key, n in cells.items() if key not in pairs} | self.count(touched)

    def get(self) -> Cells:
        return renewed(("figure", self.study.pk), self.make, self.renew, studies=[self.study.pk], kind=Cells)


@pytest.fixture
def figure() -> Figure:
    study = make.make_study()
    deployments = [make.make_deployment(name) for name in "abc"]
    for category in ("math", "code", "law"):
        for deployment in deployments:
            make.make_response(make.make_prompt(category=category), deployment, study=study, energy_j=2.0)
    fold()
    return Figure(study)


def fold() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT labeling_fold_answers()")


def move(response: Response, category: str) -> None:
    Prompt.objects.filter(pk=response.prompt_id).update(category=Category.objects.get(name=category))


class TestRenewed:
    def test_touches_the_cell_of_a_label_alone(self, figure: Figure) -> None:
        response = figure.study.responses.select_related("prompt").latest("pk")
        figure.get()
        make.make_label(response)
        assert figure.get() == figure.count()
        own = Touched(frozenset({response.pk}), frozenset({(response.deployment_id, response.prompt.category_id)}))
        assert (figure.whole_count, figure.touched) == (1, [own])

    def test_knows_what_folds_took(self, figure: Figure) -> None:
        first, *_, latest = figure.study.responses.select_related("prompt").order_by("pk")
        make.make_label(latest)
        figure.get()
        fold()
        make.make_label(first)
        fold()
        assert figure.get() == figure.count()
        assert figure.whole_count == 1
        assert [one.response_ids for one in figure.touched] == [{first.pk}]  # the label of the other was seen before

    @pytest.mark.slow
    def test_works_all_out_where_a_fold_is_forgotten(self, figure: Figure) -> None:
        figure.get()
        response = figure.study.responses.latest("pk")
        for _ in range(60):
            make.make_label(response)
            fold()
        assert figure.get() == figure.count()
        assert (figure.whole_count, figure.touched) == (2, [])

    def test_works_all_out_after_a_fold_of_very_many_marks(self, figure: Figure) -> None:
        figure.get()
        response = figure.study.responses.latest("pk")
        make.make_label(response)
        with connection.cursor() as cursor:
            mark = "INSERT INTO labeling_answermark (response_id) SELECT %s FROM generate_series(1, 2500)"
            cursor.execute(mark, [response.pk])
        fold()
        assert figure.get() == figure.count()
        assert (figure.whole_count, figure.touched) == (2, [])

    def test_knows_a_fold_that_was_taken_back_from_one_of_the_same_number(self, figure: Figure) -> None:
        first, *_, latest = figure.study.responses.order_by("pk")
        with transaction.atomic():
            make.make_label(first)
            fold()
            figure.get()
            transaction.set_rollback(True)
        make.make_label(latest)
        fold()
        assert figure.get() == figure.count()

    def test_renews_nothing_for_the_answers_of_another_study(self, figure: Figure) -> None:
        figure.get()
        response = figure.study.responses.latest("pk")
        make.make_label(make.make_response(make.make_prompt(), response.deployment, study=make.make_study()))
        make.make_label(response)
        assert figure.get() == figure.count()
        assert [one.response_ids for one in figure.touched] == [{response.pk}]

    @pytest.mark.slow
    def test_knows_the_cell_that_an_answer_passed_through(self, figure: Figure) -> None:
        response = figure.study.responses.order_by("pk")[0]
        figure.get()
        for category in ("code", "law", "math"):
            move(response, category)
            assert figure.get() == figure.count()

    def test_forgets_an_answer_that_came_and_went(self, figure: Figure) -> None:
        figure.get()
        response = make.make_response(make.make_prompt(category="art"), make.make_deployment("d"), study=figure.study)
        assert figure.get() == figure.count()
        response.delete()
        assert figure.get() == figure.count()

    def test_keeps_nothing_of_what_was_taken_back(self, figure: Figure) -> None:
        response = figure.study.responses.latest("pk")
        before = figure.get()
        with transaction.atomic():
            make.make_label(response)
            assert figure.get() == figure.count() != before
            transaction.set_rollback(True)
        assert figure.get() == figure.count() == before

    @pytest.mark.slow
    @pytest.mark.parametrize("seed", range(3))
    def test_equals_the_whole_after_random_changes(self, figure: Figure, seed: int) -> None:
        dice = random.Random(seed)

        def an_answer() -> Response:
            return dice.choice(list(figure.study.responses.order_by("pk")))

        changes: list[Callable[[], object]] = [
            lambda: make.make_label(an_answer()),
            lambda: Label.objects.filter(response=an_answer()).update(voided_at=make.NOW, void_reason="x"),
            lambda: move(an_answer(), dice.choice(("math", "code", "law"))),
            lambda: Measurement.objects.filter(response=an_answer()).update(energy_j=dice.randrange(1, 9)),
            lambda: Response.objects.filter(labels=None, pk=an_answer().pk).delete(),
            lambda: make.make_response(
                make.make_prompt(category=dice.choice(("math", "art"))), an_answer().deployment, study=figure.study
            ),
            fold,
        ]
        for _ in range(25):
            for _ in range(dice.randrange(1, 3)):
                dice.choice(changes)()
            assert figure.get() == figure.count()
        assert figure.touched
