"""What each candidate is expected to cost for the request at hand: place, length, load and context."""

from collections.abc import Iterable
from datetime import timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from benchmarks.models import Deployment, InferenceServer, Measurement
from router.adjusting import Adjusted, Adjusting, Conditions
from router.deployment_facts import active_facts
from router.length import Asked
from tests import factories as make
from tests.router.fits import make_fit

pytestmark = pytest.mark.django_db


def adjusted(
    deployment: Deployment,
    conditions: Conditions,
    *,
    neighbour_ids: tuple[int, ...] = (),
    is_intensity_live: bool = False,
    prompts_per_load: int = 10,
) -> Adjusted:
    made = Adjusting.to(conditions).costs(
        neighbour_ids=neighbour_ids, is_intensity_live=is_intensity_live, prompts_per_load=prompts_per_load
    )
    return made[deployment.pk]


SHORT = Conditions(Asked.of_prompt("How much is two plus two?"))
LONG = Conditions(Asked(9540))


class TestFacts:
    def test_are_read_once_until_something_changes(self, django_assert_num_queries: DjangoAssertNumQueries) -> None:
        deployment = make.make_deployment()
        make.make_response(make.make_prompt(), deployment)
        active_facts()
        with django_assert_num_queries(1):
            assert active_facts()[deployment.pk].fit is None
        make_fit(deployment)
        assert active_facts()[deployment.pk].fit is not None

    def test_are_of_active_models_alone(self) -> None:
        make.make_deployment("embedder", purpose="embedding")
        make.make_deployment("old", state="retired")
        assert active_facts() == {}


class TestPlace:
    def test_at_the_intensity_of_the_measurement_changes_nothing(self) -> None:
        deployment = make.make_deployment()
        make.make_response(make.make_prompt(), deployment)
        found = adjusted(deployment, SHORT)
        assert (found.factor, found.words) == (pytest.approx(1.0), "")
        assert found.intensity is not None
        assert found.intensity.gco2e_per_kwh == 385

    def test_is_that_of_each_machine(self) -> None:
        """Operational emissions follow the zone of the machine, embodied ones do not."""
        clean = make.make_machine("clean", zone="FR")
        make.make_intensity("FR", 60.0, year=2025)
        here, there = make.make_deployment(), make.make_deployment(server=make.make_server(clean, "http://127.0.0.1:2"))
        prompt = make.make_prompt()
        for deployment in (here, there):
            make.make_response(prompt, deployment)
        measured = Measurement.objects.filter(response__deployment=there).get()
        found = adjusted(there, SHORT)
        assert measured.operational_emissions_gco2e is not None
        assert measured.embodied_emissions_gco2e is not None
        assert measured.sci_gco2e is not None
        expected = measured.operational_emissions_gco2e * 60 / 385 + measured.embodied_emissions_gco2e
        assert found.sci(measured.sci_gco2e) == pytest.approx(expected)
        assert adjusted(here, SHORT).factor == pytest.approx(1.0)

    def test_live_uses_what_the_service_tells_now(self) -> None:
        deployment = make.make_deployment()
        make.make_response(make.make_prompt(), deployment)
        make.make_feed("DE", live=770.0, told_at=make.NOW)
        now = Conditions(SHORT.asked, now=make.NOW + timedelta(minutes=5))
        assert adjusted(deployment, now).intensity.gco2e_per_kwh == 385  # the policy says nothing of live figures
        live = adjusted(deployment, now, is_intensity_live=True)
        assert (live.intensity.gco2e_per_kwh, live.intensity.kind, live.intensity.is_stale) == (
            770, "live_average", False,
        )  # fmt: skip
        assert 1.1 < live.factor < 2.0  # embodied emissions stay
        assert live.words == " At 770 gCO2e/kWh in DE."

    def test_stale_falls_back_and_says_so(self) -> None:
        deployment = make.make_deployment()
        make.make_response(make.make_prompt(), deployment)
        make.make_feed("DE", live=770.0, told_at=make.NOW)
        late = Conditions(SHORT.asked, now=make.NOW + timedelta(days=1))
        found = adjusted(deployment, late, is_intensity_live=True)
        assert (found.intensity.gco2e_per_kwh, found.intensity.is_stale) == (385, True)
        assert found.factor == pytest.approx(1.0)
        assert "the live figure being stale" in found.words


class TestLength:
    @pytest.fixture
    def neighbour_ids(self, deployment: Deployment) -> tuple[int, ...]:
        """Two known prompts of 300 and 1,140 characters, whose answers have 60 and 80 tokens."""
        prompts = [make.make_prompt("x" * 300), make.make_prompt("y" * 1140)]
        for prompt, tokens, output in zip(prompts, (100, 400), (60, 80), strict=True):
            make.make_response(prompt, deployment, prompt_token_count=tokens, output_token_count=output)
        return tuple(prompt.pk for prompt in prompts)

    @pytest.fixture
    def deployment(self) -> Deployment:
        return make.make_deployment()

    def test_scales_a_prompt_far_beyond_the_neighbours(
        self, deployment: Deployment, neighbour_ids: tuple[int, ...]
    ) -> None:
        make_fit(deployment)
        found = adjusted(deployment, LONG, neighbour_ids=neighbour_ids)
        assert found.factor == pytest.approx((2 + 32 + 7) / (2 + 2.5 + 7))
        assert found.words == " Scaled for about 3,200 prompt tokens (estimated), known up to 400."

    def test_leaves_others_as_they_are(self, deployment: Deployment, neighbour_ids: tuple[int, ...]) -> None:
        make_fit(deployment)
        about_as_long = Conditions(Asked(1700))
        found = adjusted(deployment, about_as_long, neighbour_ids=neighbour_ids)
        assert (found.factor, found.words) == (pytest.approx(1.0), "")

    def test_says_where_it_cannot_scale(self, deployment: Deployment, neighbour_ids: tuple[int, ...]) -> None:
        found = adjusted(deployment, LONG, neighbour_ids=neighbour_ids)
        assert (found.factor, "not known" in found.words) == (pytest.approx(1.0), True)

    def test_of_short_prompts_costs_no_query(
        self, deployment: Deployment, neighbour_ids: tuple[int, ...], django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        adjusting = Adjusting.to(SHORT)
        with django_assert_num_queries(0):
            adjusting.costs(neighbour_ids=neighbour_ids, is_intensity_live=False, prompts_per_load=10)


class TestLoad:
    def conditions(self, *names: str) -> Conditions:
        def loaded(servers: Iterable[InferenceServer]) -> dict[int, frozenset[str]]:
            return {server.pk: frozenset(names) for server in servers}

        return Conditions(SHORT.asked, loaded=loaded)

    def test_of_a_model_in_memory_costs_nothing(self) -> None:
        deployment = make.make_deployment("tiny")
        make_fit(deployment, load_energy_j=100.0, load_duration_s=5.0, load_count=1)
        for name in ("tiny", "tiny:latest"):
            assert adjusted(deployment, self.conditions(name)).added_gco2e == 0

    def test_is_shared_by_the_prompts_that_follow(self) -> None:
        deployment = make.make_deployment("tiny")
        make_fit(deployment, load_energy_j=3600.0, load_duration_s=10.0, load_count=1)
        found = adjusted(deployment, self.conditions("other"), prompts_per_load=5)
        machine = deployment.server.machine
        whole = 385 / 1000 + machine.total_embodied_emissions_gco2e * 10 / machine.expected_lifespan_s
        assert found.added_gco2e == pytest.approx(whole / 5)
        assert "It is not in memory: 1/5 of loading it" in found.words
        assert "estimated" in found.words

    def test_that_nobody_measured_or_told_is_not_added(self) -> None:
        deployment = make.make_deployment("tiny")
        make_fit(deployment)
        assert adjusted(deployment, self.conditions()).added_gco2e == 0
        make_fit(deployment, load_energy_j=100.0, load_duration_s=5.0, load_count=1)
        assert adjusted(deployment, SHORT).added_gco2e == 0


class TestContext:
    def test_leaves_out_models_that_cannot_hold_the_request(self) -> None:
        short, wide = make.make_deployment("short"), make.make_deployment("wide")
        for deployment, length in ((short, 2048), (wide, 32768)):
            deployment.language_model.context_length = length
            deployment.language_model.save()
            make_fit(deployment)
        reasons = Adjusting.to(LONG).too_long
        assert list(reasons) == [short.pk]
        assert "Its context of 2,048 tokens cannot hold about 3,200 prompt tokens" in reasons[short.pk]

    def test_that_fits_nowhere_is_an_error_that_names_the_longest(self) -> None:
        short = make.make_deployment("short")
        short.language_model.context_length = 2048
        short.language_model.save()
        error = Adjusting.to(LONG).refusal()
        assert error.context_length == 2048
        assert "no active model can hold it. Of short: Its context of 2,048 tokens" in str(error)
