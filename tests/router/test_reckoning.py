"""What a request of a key with a budget has cost in the end."""

from typing import Any

import pytest

from router.keys import create_key
from router.length import Asked
from router.models import GatewayRequest, KeyHour, UpstreamAttempt
from router.reckoning import Settling, settle, settle_measured
from router.routing import pinned_decision
from router.spending import book, hour_of
from tests import factories as make
from tests.router.fits import make_fit

pytestmark = pytest.mark.django_db

SMALL_SCI = 0.2  # gCO2e of the one measured answer, of ten tokens


@pytest.fixture
def request_of_key() -> GatewayRequest:
    key = create_key(owner_id=make.make_user().pk, name="test").key
    key.budget_gco2e_per_hour = 10.0
    key.save()
    book(api_key_id=key.pk, sci_gco2e=1.0, now=make.NOW)
    return make.make_gateway_request(api_key=key)


def known_deployment(name: str = "small", **fields: Any) -> Any:
    deployment = make.make_deployment(name)
    response = make.make_response(make.make_prompt("two"), deployment, energy_j=10.0, **fields)
    response.measurement.sci_gco2e = SMALL_SCI
    response.measurement.save()
    return deployment


def spent_after(request: GatewayRequest, *attempts: UpstreamAttempt) -> float:
    decision = pinned_decision(deployment=attempts[0].deployment, now=make.NOW)
    settle([(request, attempts, Settling(Asked(10), decision, 1.0, make.NOW))])
    return KeyHour.objects.get().spent_gco2e


def attempt(deployment: Any, outcome: str = "finished", **fields: Any) -> UpstreamAttempt:
    return UpstreamAttempt(deployment=deployment, outcome=outcome, started_at=make.NOW, **fields)


class TestSettle:
    def test_counts_tokens_at_what_they_usually_cost(self, request_of_key: GatewayRequest) -> None:
        small = known_deployment(output_token_count=10)
        assert spent_after(request_of_key, attempt(small, output_token_count=25)) == pytest.approx(0.5)

    def test_counts_a_cancelled_answer_as_far_as_it_came(self, request_of_key: GatewayRequest) -> None:
        small = known_deployment(output_token_count=10)
        assert spent_after(request_of_key, attempt(small, "cancelled", output_token_count=5)) == pytest.approx(0.1)

    def test_counts_what_failed_beside_what_took_over(self, request_of_key: GatewayRequest) -> None:
        small, large = known_deployment(output_token_count=10), known_deployment("large", output_token_count=10)
        broken, whole = attempt(small, "failed", output_token_count=5), attempt(large, output_token_count=10)
        assert spent_after(request_of_key, broken, whole) == pytest.approx(0.3)

    def test_counts_nothing_where_nothing_was_generated(self, request_of_key: GatewayRequest) -> None:
        small = known_deployment(output_token_count=10)
        assert spent_after(request_of_key, attempt(small, "failed")) == 0.0

    def test_counts_what_was_measured_as_measured(self, request_of_key: GatewayRequest) -> None:
        small = known_deployment(output_token_count=10)
        measurement = make.make_measurement()
        measurement.sci_gco2e = 0.7
        found = spent_after(request_of_key, attempt(small, output_token_count=5, measurement=measurement))
        assert found == pytest.approx(0.7)

    @pytest.mark.parametrize(("sci_gco2e", "spent"), [(0.7, 0.9), (None, 0.3), (0.0, 0.2)])
    def test_counts_what_is_measured_later_in_its_place(
        self, request_of_key: GatewayRequest, sci_gco2e: float | None, spent: float
    ) -> None:
        small = known_deployment(output_token_count=10)
        decision = pinned_decision(deployment=small, now=make.NOW)
        settling = Settling(Asked(10), decision, 1.0, make.NOW)
        late, other = (attempt(small, output_token_count=count, number=1 + at) for at, count in enumerate((5, 10)))
        settle([(request_of_key, [late, other], settling)])
        assert KeyHour.objects.get().spent_gco2e == pytest.approx(0.3)
        late.measurement = make.make_measurement()
        late.measurement.sci_gco2e = sci_gco2e
        for _ in range(2):  # once is enough
            settle_measured(request=request_of_key, attempt=late, settling=settling)
        assert KeyHour.objects.get().spent_gco2e == pytest.approx(spent)

    def test_counts_by_the_energy_fit_where_there_is_one(self, request_of_key: GatewayRequest) -> None:
        small = known_deployment(output_token_count=10)
        make_fit(small, fixed_j=5.0, j_per_prompt_token=0.0, j_per_output_token=2.0)
        found = spent_after(request_of_key, attempt(small, output_token_count=20, prompt_token_count=3))
        assert found == pytest.approx((5.0 + 2.0 * 20) * SMALL_SCI / 10.0)

    def test_counts_as_expected_where_nobody_knows_what_a_token_costs(self, request_of_key: GatewayRequest) -> None:
        small = known_deployment()
        assert spent_after(request_of_key, attempt(small, output_token_count=5)) == pytest.approx(SMALL_SCI)

    def test_moves_the_price_back_with_it(self, request_of_key: GatewayRequest) -> None:
        key_id = request_of_key.api_key_id
        before = hour_of(api_key_id=key_id, now=make.NOW)
        small = known_deployment(output_token_count=10)
        spent_after(request_of_key, attempt(small, output_token_count=45))
        after = hour_of(api_key_id=key_id, now=make.NOW)
        assert before is not None
        assert after is not None
        assert 0 < after.price < before.price
        assert after.request_count == before.request_count
