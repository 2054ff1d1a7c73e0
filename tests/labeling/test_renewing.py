"""After a change, only what it touched is worked out anew, and always all of that."""

import json
import random
from collections.abc import Callable
from contextvars import Context

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from benchmarks.models import Category, Measurement, Prompt, Response, Study
from labeling import keeping, renewing
from labeling.models import Label
from labeling.renewing import Packing, Renewals, Touched, renewed
from labeling.unchanged import one_look, seen_once, state_of
from tests import factories as make

pytestmark = pytest.mark.django_db
Cells = dict[str, int]


class Figure:
    """How many answers each deployment has in each category, with how often that was worked out."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.whole_count = 0
        self.touched: list[Touched] = []
        self.renewals: Renewals | None = None

    def be_another_process(self) -> None:
        """Forget what was kept in memory."""
        packing = Packing[Cells](lambda cells: json.dumps(cells).encode(), json.loads, len)
        self.renewals = Renewals(most=1, packing=packing)

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
        kind = Cells if self.renewals is None else None  # those with columns are kept as columns alone
        return renewed(
            ("figure", self.study.pk),
            self.make,
            self.renew,
            studies=[self.study.pk],
            kind=kind,
            renewals=self.renewals,
        )


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


def mark_and_fold(response: Response, *, times: int) -> None:
    """Fold so many times, an answer that is marked as changed each time."""
    for _ in range(times):
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO labeling_answermark (response_id) VALUES (%s)", [response.pk])
        fold()


class TestRenewed:
    def test_touches_the_cell_of_a_label_alone(self, figure: Figure) -> None:
        response = figure.study.responses.select_related("prompt").latest("pk")
        figure.get()
        make.make_label(response)
        assert figure.get() == figure.count()
        own = Touched(frozenset({response.pk}), frozenset({(response.deployment_id, response.prompt.category_id)}))
        assert (figure.whole_count, figure.touched) == (1, [own])

    def test_looks_once_for_all_figures_of_a_page(self, figure: Figure) -> None:
        other = Figure(figure.study)
        other.be_another_process()
        for one in (figure, other):
            one.get()
        make.make_label(figure.study.responses.latest("pk"))
        with CaptureQueriesContext(connection) as asked, one_look():
            assert figure.get() == other.get() == figure.count()
        marks = [one["sql"] for one in asked if "labeling_answermark AS mark" in one["sql"]]
        assert len(marks) == 2  # whether anything changed, and which answers
        assert (figure.whole_count, other.whole_count) == (1, 1)

    def test_renews_what_another_page_renewed_since_this_one_looked(self, figure: Figure) -> None:
        first, second = figure.study.responses.order_by("pk")[:2]
        figure.get()
        make.make_label(first)
        with one_look():
            state_of([figure.study.pk])
            seen_once("seen", lambda: renewing._seen(None))
            for response in (second, second):  # as pages in other threads see them
                make.make_label(response)
                fold()
                Context().run(figure.get)
            assert figure.get() == figure.count()
        assert figure.get() == figure.count()
        assert figure.whole_count == 1

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
        make.make_label(response)
        mark_and_fold(response, times=260)
        assert figure.get() == figure.count()
        assert (figure.whole_count, figure.touched) == (2, [])

    @pytest.mark.slow
    def test_knows_what_many_folds_took(self, figure: Figure) -> None:
        first, *_, latest = figure.study.responses.order_by("pk")
        figure.get()
        make.make_label(first)
        mark_and_fold(latest, times=200)
        assert figure.get() == figure.count()
        assert figure.whole_count == 1
        assert [one.response_ids for one in figure.touched] == [{first.pk, latest.pk}]

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


@pytest.fixture
def outliving(figure: Figure, monkeypatch: pytest.MonkeyPatch) -> Figure:
    """Give a figure that the database keeps however few rows it is made of."""
    monkeypatch.setattr(renewing, "_LEAST_ROWS", 1)
    figure.be_another_process()
    return figure


class TestAnotherProcess:
    def test_goes_on_from_what_one_before_it_read(self, outliving: Figure) -> None:
        first, *_, latest = outliving.study.responses.order_by("pk")
        make.make_label(first)
        outliving.get()
        fold()
        make.make_label(latest)
        outliving.be_another_process()
        assert outliving.get() == outliving.count()
        assert outliving.whole_count == 1
        assert [one.response_ids for one in outliving.touched] == [{latest.pk}]

    def test_works_out_what_is_made_of_few_rows(self, outliving: Figure, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(renewing, "_LEAST_ROWS", 1000)
        outliving.get()
        outliving.be_another_process()
        assert outliving.get() == outliving.count()
        assert (outliving.whole_count, outliving.touched) == (2, [])

    def test_works_all_out_of_what_is_too_large_to_keep(
        self, outliving: Figure, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(keeping, "MOST_BYTES", 3)
        outliving.get()
        outliving.be_another_process()
        outliving.get()
        assert outliving.whole_count == 2

    def test_takes_nothing_from_other_code(self, outliving: Figure, monkeypatch: pytest.MonkeyPatch) -> None:
        outliving.get()
        monkeypatch.setattr(keeping, "_code_digest", lambda: "another")
        outliving.be_another_process()
        outliving.get()
        assert outliving.whole_count == 2

    def test_takes_nothing_from_before_a_change_of_a_source(self, outliving: Figure) -> None:
        outliving.get()
        Category.objects.filter(name="law").update(name="laws")
        outliving.be_another_process()
        assert outliving.get() == outliving.count()
        assert (outliving.whole_count, outliving.touched) == (2, [])

    def test_keeps_what_was_renewed_before_too_many_folds(
        self, outliving: Figure, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(renewing, "_EVERY_FOLDS", 2)
        response = outliving.study.responses.latest("pk")
        written = []
        keep_columns = renewing.keep_columns

        def keep(**columns: str | bytes) -> None:
            written.append(columns["name"])
            keep_columns(**columns)  # type: ignore[arg-type]  # as they came

        monkeypatch.setattr(renewing, "keep_columns", keep)
        for number in range(6):
            make.make_label(response)
            fold()
            outliving.be_another_process()
            assert outliving.get() == outliving.count()
            assert len(written) == 1 + number // 2
        assert outliving.whole_count == 1

    def test_keeps_those_kept_last(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(keeping, "MOST_COLUMNS", 2)
        for name in ("a", "b", "a", "c"):
            keeping.keep_columns(name=name, seen="", value=b"\0x'")
        with connection.cursor() as cursor:
            cursor.execute("SELECT name, value FROM labeling_keptcolumns ORDER BY name")
            assert [(name, bytes(value)) for name, value in cursor.fetchall()] == [("a", b"\0x'"), ("c", b"\0x'")]
