"""The regression beside the live router: when it is ready, what estimates until then, and how it follows a change."""

from collections.abc import Callable

import pytest
from django.utils import timezone

from benchmarks.models import Deployment, Prompt
from router.estimate import Estimator
from router.fitting import FitKeeper, fits_of
from router.knowledge import Knowledge, keeper_of
from router.models import PolicyVersion, PromptIndex
from router.regression import RegressionEstimator
from router.routing import Route, record_route, route
from tests import factories as make
from tests.router.standins import Federation, make_federation, make_index

pytestmark = pytest.mark.django_db
FITTING = "The regression is being fitted; until then the neighbours alone estimate."


@pytest.fixture
def federation() -> Federation:
    """A federation in which the word `hard` tells what small gets wrong."""
    made = make_federation(policy=None)
    prompts = make.make_known(
        *(
            (f"{word} sum of item{number}", "math", {made.small: (10.0, of_small), made.large: (90.0, "correct")})
            for number, (word, of_small) in enumerate((("easy", "correct"), ("hard", "incorrect")) * 20)
        )
    )
    make_index(prompts, embedder=made.embedder, store=made.store)
    return made


class Beside:
    """Work that waits until somebody lets it run."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def start(self, work: Callable[[], None]) -> None:
        self.waiting.append(work)

    def run(self) -> None:
        self.waiting.pop(0)()


def index_now() -> PromptIndex:
    return PromptIndex.objects.get(state="current")


def known(federation: Federation) -> Knowledge:
    return keeper_of(federation.store).current(index_now())


def judge(federation: Federation) -> None:
    """Judge one more answer to a prompt of the index; the regression rests on nothing else."""
    prompt = Prompt.objects.get(pk=known(federation).prompt_ids[0])
    make.make_response(prompt, federation.small, verdict="incorrect")


def asked(federation: Federation, fits: FitKeeper) -> tuple[type[Estimator], str]:
    estimator, note = fits.current(known(federation), index_now())
    return type(estimator), note


def routed(federation: Federation, text: str = "hard sum of apples", *, is_patient: bool = True) -> Route:
    return route(prompt_text=text, embedder=federation.embedder, store=federation.store, is_patient=is_patient)


class TestFitting:
    @pytest.mark.slow
    def test_runs_beside_the_decisions_which_go_by_neighbours_until_it_is_ready(self, federation: Federation) -> None:
        beside = Beside()
        fits = FitKeeper(start=beside.start)
        assert asked(federation, fits) == (Estimator, FITTING)
        assert asked(federation, fits) == (Estimator, FITTING)
        assert len(beside.waiting) == 1  # once, however many ask
        beside.run()
        assert asked(federation, fits) == (RegressionEstimator, "")

    @pytest.mark.slow
    def test_goes_by_the_elder_one_after_a_label_until_the_next_is_ready(self, federation: Federation) -> None:
        beside = Beside()
        fits = FitKeeper(start=beside.start, clock=lambda: 0.0)
        asked(federation, fits)
        beside.run()
        judge(federation)
        kind, note = asked(federation, fits)
        assert kind is RegressionEstimator
        assert note.startswith("The regression is of a moment before the latest labels")
        beside.run()
        assert asked(federation, fits) == (RegressionEstimator, "")

    @pytest.mark.slow
    def test_goes_by_neighbours_after_a_model_was_retired(self, federation: Federation) -> None:
        beside = Beside()
        fits = FitKeeper(start=beside.start, clock=lambda: 0.0)
        asked(federation, fits)
        beside.run()
        Deployment.objects.filter(pk=federation.small.pk).update(state=Deployment.State.RETIRED)
        assert asked(federation, fits) == (Estimator, FITTING)
        beside.run()
        estimator, _ = fits.current(known(federation), index_now())
        assert estimator.known.scores.shape == (40, 1)

    @pytest.mark.slow
    def test_rests_between_two_labels(self, federation: Federation) -> None:
        beside, moments = Beside(), [0.0, 2.0]  # it took two seconds
        fits = FitKeeper(start=beside.start, clock=lambda: moments.pop(0) if len(moments) > 1 else moments[0])
        asked(federation, fits)
        moments[:] = [0.0, 2.0]
        beside.run()
        judge(federation)
        moments[:] = [19.0]
        assert asked(federation, fits)[0] is RegressionEstimator
        assert beside.waiting == []
        moments[:] = [21.0]
        asked(federation, fits)
        assert len(beside.waiting) == 1

    @pytest.mark.slow
    def test_that_fails_leaves_the_neighbours_and_is_not_tried_again_and_again(
        self, federation: Federation, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        beside = Beside()
        fits = FitKeeper(start=beside.start)
        asked(federation, fits)

        def refuse(*_: object) -> None:
            raise MemoryError("too many words")

        monkeypatch.setattr("router.fitting.RegressionEstimator", refuse)
        beside.run()
        kind, note = asked(federation, fits)
        assert kind is Estimator
        assert note.startswith("The regression could not be fitted")
        assert beside.waiting == []
        assert "too many words" in caplog.text


class TestRoute:
    @pytest.mark.slow
    def test_by_regression_sees_what_the_neighbours_do_not(self, federation: Federation) -> None:
        PolicyVersion.objects.create(policy="knn", estimator="neighbours")
        by_neighbours = {one.evidence.model: one.evidence.p for one in routed(federation).choice.candidates}
        PolicyVersion.objects.create(policy="knn", estimator="regression")
        found = routed(federation)
        by_regression = {one.evidence.model: one.evidence.p for one in found.choice.candidates}
        assert by_regression["small"] is not None
        assert by_neighbours["small"] is not None
        assert by_regression["small"] < by_neighbours["small"] - 0.1
        assert FITTING not in found.choice.explanation

    @pytest.mark.slow
    def test_says_in_the_row_that_the_regression_was_not_ready(self, federation: Federation) -> None:
        PolicyVersion.objects.create(policy="knn", estimator="regression")
        fits_of(federation.store)._start = Beside().start
        stored = record_route(route=routed(federation, is_patient=False), now=timezone.now())
        assert stored.explanation.endswith(FITTING)

    @pytest.mark.slow
    def test_by_neighbours_fits_nothing(self, federation: Federation) -> None:
        beside = Beside()
        fits_of(federation.store)._start = beside.start
        PolicyVersion.objects.create(policy="knn")
        routed(federation, is_patient=False)
        assert beside.waiting == []
