"""Which model a prompt goes to that a chat client sends on its own."""

import pytest

from benchmarks.inference.base import PromptTooLong
from router.adjusting import Conditions
from router.background import BackgroundTask
from router.background_routing import Weighed, choose_background, route_background
from router.length import Asked
from router.models import PolicyVersion
from router.policy import Evidence
from router.routing import Route
from tests import factories as make
from tests.router.standins import Federation, make_federation


def weighed(key: int, sci: float | None, p: float | None = None, obstacle: str = "") -> Weighed:
    return Weighed(Evidence(key, f"model-{key}", sci, "measured", None, response_count=1, p=p), obstacle)


class TestChoosing:
    def chosen(self, *candidates: Weighed) -> int | None:
        choice = choose_background(list(candidates), BackgroundTask.TITLE)
        return None if choice is None else choice.chosen.deployment_id

    def test_takes_the_cheapest(self) -> None:
        assert self.chosen(weighed(1, 0.3, 0.9), weighed(2, 0.1, 0.6)) == 2

    def test_leaves_out_what_is_less_than_half_as_often_right_as_the_best(self) -> None:
        assert self.chosen(weighed(1, 0.3, 0.9), weighed(2, 0.1, 0.4)) == 1

    def test_of_models_that_nobody_judged_takes_the_cheapest(self) -> None:
        assert self.chosen(weighed(1, 0.3), weighed(2, 0.1)) == 2

    def test_leaves_out_what_cannot_hold_it_also_as_a_measure(self) -> None:
        assert self.chosen(weighed(1, 0.3, 1.0, "Its context is too short."), weighed(2, 0.1, 0.4)) == 2

    def test_without_any_sci_is_none(self) -> None:
        assert self.chosen(weighed(1, None, 0.9)) is None
        assert self.chosen() is None

    def test_tells_why_of_each(self) -> None:
        rows = [weighed(1, 0.1, 0.6), weighed(2, 0.3, 0.9), weighed(3, None), weighed(4, 0.01, 0.1)]
        rows.append(weighed(5, 0.2, obstacle="Its context is too short."))
        choice = choose_background(rows, BackgroundTask.FOLLOW_UPS)
        assert choice is not None
        assert "(follow ups)" in choice.explanation
        assert "model-1 (mean SCI 100 mgCO2e on the known prompts, measured)" in choice.explanation
        told = {one.evidence.deployment_id: one.reason for one in choice.candidates}
        assert "lowest mean SCI" in told[1]
        assert told[2] == "It costs more: 300 mgCO2e."
        assert "no SCI" in told[3]
        assert "10 %" in told[4]
        assert told[5] == "Its context is too short."


@pytest.mark.django_db
class TestRouting:
    def routed(self, federation: Federation, characters: int = 1000) -> Route | None:
        return route_background(
            task=BackgroundTask.TITLE,
            embedder=federation.embedder,
            store=federation.store,
            conditions=Conditions(Asked(characters)),
        )

    def test_goes_to_the_cheapest_without_an_embedding(self) -> None:
        federation = make_federation()
        embedded = len(federation.embedder.client.texts)  # type: ignore[attr-defined]
        found = self.routed(federation)
        assert found is not None
        assert (found.chosen, found.policy, found.choice.reason) == (federation.small, "background", "background")
        assert (found.neighbours, found.embedding_ms, found.search_ms) == ((), None, None)
        assert found.choice.chosen.sci_gco2e is not None
        assert len(federation.embedder.client.texts) == embedded  # type: ignore[attr-defined]

    def test_goes_to_no_model_that_cannot_hold_it(self) -> None:
        federation = make_federation()
        model = federation.small.language_model
        model.context_length = 100
        model.save()
        found = self.routed(federation)
        assert found is not None
        assert found.chosen == federation.large
        assert found.too_long_ids == {federation.small.pk}

    def test_is_refused_where_no_model_holds_it(self) -> None:
        federation = make_federation()
        for deployment in (federation.small, federation.large):
            deployment.language_model.context_length = 100
            deployment.language_model.save()
        with pytest.raises(PromptTooLong):
            self.routed(federation)

    def test_follows_an_admin_who_fixed_a_model(self) -> None:
        federation = make_federation()
        PolicyVersion.objects.create(policy="fixed", fallback=federation.large)
        assert self.routed(federation) is None

    def test_of_a_federation_without_figures_is_routed_as_any_other(self) -> None:
        federation = make_federation()
        make.make_deployment("new")
        for deployment in (federation.small, federation.large):
            deployment.state = "retired"
            deployment.save()
        assert self.routed(federation) is None
