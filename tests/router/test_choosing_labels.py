"""The order of the queue by what labels would change in routing, from rows of Postgres to the reader's list."""

from io import StringIO

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from pytest_django import DjangoAssertNumQueries

from benchmarks.models import Deployment, Prompt, Response, Study
from greenllm.models import User
from labeling.assigning import claim_answer
from labeling.models import Lease, QueueOrder, QueuePlace
from labeling.placing import BAND_SIZE, latest_order, store_order
from labeling.waiting import Mode
from router.choosing_labels import NothingWaits, labels_since_order, live_influence, order_labels, prompt_weights
from router.jobs import order_waiting
from tests import factories as make
from tests.labeling.queues import NOW, make_annotator, reader_of

pytestmark = pytest.mark.django_db


class Grid:
    """Answers of three models to some prompts: `good` and `close` are cheap and alike, `bad` is dear and wrong."""

    def __init__(self, prompt_count: int = 30, labeled_count: int = 10, category: str = "math") -> None:
        self.study = make.make_study()
        self.deployments = {
            name: Deployment.objects.filter(language_model__name=name).first() or make.make_deployment(name)
            for name in ("good", "close", "bad")
        }
        self.prompts = make.make_prompts(prompt_count, category=category)
        energies_j = {"good": 20.0, "close": 21.0, "bad": 500.0}
        responses = make.make_responses(
            (
                (prompt, deployment, {"energy_j": energies_j[name]})
                for prompt in self.prompts
                for name, deployment in self.deployments.items()
            ),
            study=self.study,
        )
        is_right = [
            name != "bad" and number % 2 == (name == "good")
            for number in range(labeled_count)
            for name in self.deployments
        ]
        verdicts = ["correct" if one else "incorrect" for one in is_right]
        make.make_labels(responses[: len(verdicts)], verdicts)


def model_of(response_id: int) -> str:
    return Response.objects.get(pk=response_id).deployment.language_model.name


def decide(near: Prompt, deployment: Deployment) -> None:
    """Store a decision about a live prompt that lies near a known one."""
    make.make_decision(
        request=make.make_gateway_request(),
        chosen=deployment,
        neighbours=[{"prompt_id": near.pk, "squared_distance": 0.5}],
    )


class TestOrderLabels:
    @pytest.mark.slow
    def test_puts_contenders_before_what_is_decided(self) -> None:
        Grid()
        made = order_labels(study=None, seed=1, now=NOW)
        assert (made.waiting_count, made.label_count) == (60, 30)
        first = QueuePlace.objects.filter(band=0).values_list("response_id", flat=True)
        assert len(first) == BAND_SIZE
        assert sum(model_of(response_id) == "bad" for response_id in first) <= 4
        told = {one["model"]: one for one in made.strata}
        assert told["bad"]["share"] < 0.1 < told["close"]["share"]
        assert [told[name]["is_worthwhile"] for name in ("good", "close", "bad")] == [True, True, False]
        assert made.worthwhile_count == 40

    def test_takes_training_prompts_of_the_study_only(self) -> None:
        grid, other = Grid(4, 0), Grid(4, 0)
        Prompt.objects.filter(pk=grid.prompts[0].pk).update(role=Prompt.Role.VALIDATION)
        order_labels(study=grid.study, seed=1, now=NOW)
        placed = Response.objects.filter(queue_place__isnull=False)
        assert placed.count() == 9
        assert not placed.filter(study=other.study).exists()

    def test_replaces_the_order_before(self) -> None:
        grid = Grid(4, 0)
        order_labels(study=None, seed=1, now=NOW)
        for response in Response.objects.filter(prompt=grid.prompts[0]):
            make.make_label(response)
        assert labels_since_order() == 3
        order_labels(study=None, seed=1, now=NOW)
        assert QueuePlace.objects.count() == 9
        assert labels_since_order() == 0
        assert QueueOrder.objects.count() == 2

    def test_says_that_nothing_waits(self) -> None:
        Grid(3, 3)
        with pytest.raises(NothingWaits, match="nothing to put in order"):
            order_labels(study=None, seed=1, now=NOW)

    def test_leaves_retired_models_and_the_router_out(self) -> None:
        grid = Grid(4, 2)
        Deployment.objects.filter(pk=grid.deployments["close"].pk).update(state=Deployment.State.RETIRED)
        routed = make.make_study(kind=Study.Kind.ROUTER)
        make.make_response(grid.prompts[3], grid.deployments["good"], study=routed)
        made = order_labels(study=None, seed=1, now=NOW)
        assert made.waiting_count == 6
        told = {one["model"]: one for one in made.strata}
        assert (told["close"]["sci_gco2e"], told["close"]["is_worthwhile"]) == (None, False)

    def test_never_ranks_a_figure_of_another_kind(self) -> None:
        grid = Grid(4, 2)
        make.make_response(
            make.make_prompt(), grid.deployments["good"], study=grid.study, energy_j=9000.0, quality="measured"
        )
        told = {one["model"]: one["sci_gco2e"] for one in order_labels(study=None, seed=1, now=NOW).strata}
        assert told["good"] < told["close"] < told["bad"]

    @pytest.mark.slow
    def test_asks_the_same_few_queries_however_many_wait(
        self, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        for count in (5, 40):
            Grid(count, 2, category=f"math-{count}")
            # two of them look for the kept figure, and keep it; two, whether answers changed and which
            with django_assert_num_queries(19):
                order_labels(study=None, seed=1, now=NOW)


class TestLiveTraffic:
    @pytest.mark.slow
    def test_brings_its_neighbours_forward(self) -> None:
        grid = Grid(200, 10)
        near = grid.prompts[150]
        for _ in range(5):
            decide(near, grid.deployments["good"])
        made = order_labels(study=None, seed=1, now=NOW)
        assert made.live_count == 5
        first = Response.objects.filter(queue_place__band=0)
        assert {"good", "close"} <= set(
            first.filter(prompt=near).values_list("deployment__language_model__name", flat=True)
        )

    def test_counts_neither_comparisons_nor_pinned_models(self) -> None:
        grid = Grid(2, 0)
        make.make_decision(chosen=grid.deployments["good"], neighbours=[{"prompt_id": 1, "squared_distance": 0.1}])
        make.make_decision(request=make.make_gateway_request(), chosen=grid.deployments["good"], neighbours=[])
        sent, near = make.make_gateway_request(background_task="tags"), [{"prompt_id": 1, "squared_distance": 0.1}]
        make.make_decision(request=sent, chosen=grid.deployments["good"], neighbours=near)
        assert live_influence() == ({}, 0)

    def test_weighs_a_prompt_by_what_lies_near(self) -> None:
        assert list(prompt_weights(np.array([1, 2]), {1: 3.0, 2: 1.0})) == [2.5, 1.5]
        assert list(prompt_weights(np.array([1, 2]), {})) == [1.0, 1.0]


class TestQueue:
    def claim_all(self, person: User, **options: object) -> list[int]:
        reader = reader_of(person, mode=Mode.ROUTING, **options)
        claimed = []
        while (response_id := claim_answer(reader=reader, now=NOW)) is not None:
            claimed.append(response_id)
        return claimed

    @pytest.mark.slow
    def test_gives_bands_in_order_and_each_person_their_own_order_within(self) -> None:
        Grid(20, 0)
        order = list(Response.objects.order_by("-pk").values_list("pk", flat=True))
        facts = {"label_count": 0, "worthwhile_count": 0, "sci_price": 0.0}
        store_order(response_ids=order, made_at=NOW, facts=facts)
        ada = self.claim_all(make_annotator("ada"), seed=1)
        Lease.objects.all().delete()
        bob = self.claim_all(make_annotator("bob"), seed=2)
        for claimed in (ada, bob):
            assert [set(claimed[at : at + 20]) for at in (0, 20, 40)] == [
                set(order[at : at + 20]) for at in (0, 20, 40)
            ]
        assert ada[:20] != bob[:20]
        assert ada[:20] != order[:20]

    @pytest.mark.slow
    def test_gives_what_no_order_names_last(self) -> None:
        Grid(2, 0)
        *placed, new = Response.objects.order_by("pk").values_list("pk", flat=True)
        facts = {"label_count": 0, "worthwhile_count": 0, "sci_price": 0.0}
        store_order(response_ids=placed, made_at=NOW, facts=facts)
        assert self.claim_all(make_annotator())[-1] == new

    @pytest.mark.slow
    def test_works_before_anything_was_ordered(self) -> None:
        Grid(2, 0)
        assert latest_order() is None
        assert len(self.claim_all(make_annotator())) == 6

    def test_an_answer_that_is_gone_is_no_trouble(self) -> None:
        Grid(1, 0)
        ids = list(Response.objects.values_list("pk", flat=True))
        facts = {"label_count": 0, "worthwhile_count": 0, "sci_price": 0.0}
        store_order(response_ids=[*ids, 999_999], made_at=NOW, facts=facts)
        assert QueuePlace.objects.count() == 3


class TestCommand:
    def test_tells_what_the_next_labels_are(self) -> None:
        Grid()
        out = StringIO()
        call_command("order_labels", stdout=out)
        assert "60 answers in order, 40 of them worthwhile" in out.getvalue()
        assert "of the next labels: good in math, 10 labels, 20 wait" in out.getvalue()

    def test_tells_where_there_is_nothing(self) -> None:
        with pytest.raises(CommandError, match="nothing to put in order"):
            call_command("order_labels")
        with pytest.raises(CommandError, match="none"):
            call_command("order_labels", study="none")


class TestJob:
    def test_orders_and_says_so(self) -> None:
        Grid(2, 0)
        assert order_waiting(0).startswith("6 answers in order")
        assert latest_order() is not None

    def test_says_that_nothing_waits(self) -> None:
        assert "nothing to put in order" in order_waiting(0)
