"""Fits of the energy of stored answers."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from benchmarks.energy_fit import TooFewAnswers
from benchmarks.fitting import fit_after_study, fit_energy, measured_answers
from benchmarks.meters.base import Reading
from benchmarks.models import ChannelReading, Deployment, EnergyFit, EnergyTrace, Response, ResponseAttempt, Study
from benchmarks.traces import pack
from tests import factories as make

pytestmark = pytest.mark.django_db

SECOND = 10**9


@pytest.fixture
def study() -> Study:
    return make.make_study()


def answer(study: Study, deployment: Deployment, number: int, *, quality: str = "estimated") -> Response:
    """Make an answer that costs 1 J, 0.02 J per prompt token and 0.5 J per output token."""
    prompt_tokens, output_tokens = 20 + 10 * number, 30 + 7 * (number % 5)
    return make.make_response(
        make.make_prompt("x" * 4 * (prompt_tokens - 10)),
        deployment,
        study=study,
        energy_j=1 + 0.02 * prompt_tokens + 0.5 * output_tokens,
        quality=quality,
        prompt_token_count=prompt_tokens,
        output_token_count=output_tokens,
    )


def add_trace(response: Response) -> None:
    """Give an answer samples every 10 ms: 20 W for 1 ms a prompt token, then 5 W for 0.1 s an output token."""
    prefill_ns = response.prompt_token_count * SECOND // 1000
    decode_ns = response.output_token_count * SECOND // 10
    measurement = response.measurement
    measurement.started_monotonic_ns = 5 * SECOND
    measurement.save()
    Response.objects.filter(pk=response.pk).update(
        load_duration_ns=0, prompt_eval_duration_ns=prefill_ns, eval_duration_ns=decode_ns
    )
    period = SECOND // 100
    moments = range(5 * SECOND + period, 5 * SECOND + prefill_ns + decode_ns + 5 * period, period)
    readings = [Reading(at, period, 20_000 if at <= 5 * SECOND + prefill_ns else 5_000) for at in moments]
    EnergyTrace.of(pack(readings, period, period), measurement=measurement, channel="machine").save()
    ChannelReading.objects.create(
        measurement=measurement, channel="machine", meter="test", is_in_boundary=True, energy_j=1.0,
        sample_count=len(readings), coverage=1.0, quality="estimated",
    )  # fmt: skip


class TestFitEnergy:
    @pytest.mark.slow
    def test_finds_what_answers_cost_by_length(self, study: Study) -> None:
        deployment = make.make_deployment()
        for number in range(20):
            answer(study, deployment, number)
        fit = fit_energy(deployment=deployment, now=make.NOW)
        assert fit.fixed_j == pytest.approx(1.0, rel=0.01)
        assert (fit.j_per_prompt_token, fit.j_per_output_token) == pytest.approx((0.02, 0.5), rel=0.01)
        assert (fit.answer_count, fit.quality, fit.prompt_source) == (20, "estimated", "whole")
        assert (fit.characters_per_token, fit.template_tokens) == pytest.approx((4.0, 10.0))

    def test_reads_the_phases_from_the_samples(self, study: Study) -> None:
        deployment = make.make_deployment()
        for number in range(12):
            add_trace(answer(study, deployment, number))
        fit = fit_energy(deployment=deployment, now=make.NOW)
        assert (fit.prompt_source, fit.output_source) == ("trace", "trace")
        assert fit.prefill_count == 11  # the shortest prompt has two samples
        assert fit.j_per_prompt_token == pytest.approx(20 / 1000, rel=0.05)  # 20 W for a millisecond a token
        assert fit.j_per_output_token == pytest.approx(0.5, rel=0.01)

    def test_uses_the_best_quality_alone(self, study: Study) -> None:
        deployment = make.make_deployment()
        for number in range(8):
            answer(study, deployment, number, quality="measured")
            answer(study, deployment, number, quality="estimated")
        fit = fit_energy(deployment=deployment, now=make.NOW)
        assert (fit.quality, fit.answer_count) == ("measured", 8)

    def test_leaves_out_missing_energies_and_counts(self, study: Study) -> None:
        deployment = make.make_deployment()
        make.make_response(make.make_prompt(), deployment, study=study, energy_j=None, prompt_token_count=3)
        make.make_response(make.make_prompt(), deployment, study=study)
        assert measured_answers(deployment=deployment, most=10) == []
        with pytest.raises(TooFewAnswers, match="0 measured answers"):
            fit_energy(deployment=deployment, now=make.NOW)

    def test_estimates_the_load_from_the_waits_of_studies(self, study: Study) -> None:
        deployment = make.make_deployment()
        for number in range(8):
            made = answer(study, deployment, number)
            ResponseAttempt.objects.create(
                response=made, number=1, outcome="finished", started_at=make.NOW, ended_at=make.NOW,
                load_wait_s={0: 2.0, 1: 3.0, 2: 7.0}.get(number, 0.01),
            )  # fmt: skip
        fit = fit_energy(deployment=deployment, now=make.NOW)
        energies = [one.energy_j for one in measured_answers(deployment=deployment, most=10)]
        assert (fit.load_count, fit.load_duration_s) == (3, 3.0)
        assert fit.load_energy_j == pytest.approx(3.0 * sum(energies) / len(energies))  # answers of one second each

    def test_keeps_older_fits_and_tells_the_latest(self, study: Study) -> None:
        deployment = make.make_deployment()
        for number in range(8):
            answer(study, deployment, number)
        fit_energy(deployment=deployment, now=make.NOW)
        latest = fit_energy(deployment=deployment, now=make.NOW + timedelta(hours=1))
        assert EnergyFit.objects.count() == 2
        assert list(EnergyFit.objects.latest_of_each()) == [latest]


class TestFitAfterStudy:
    def test_fits_those_that_have_answers_enough(self, study: Study) -> None:
        rich, poor = make.make_deployment("rich"), make.make_deployment("poor")
        for position, deployment in enumerate((rich, poor)):
            study.targets.create(deployment=deployment, position=position)
        for number in range(8):
            answer(study, rich, number)
        made = fit_after_study(study=study, now=make.NOW)
        assert [fit.deployment for fit in made] == [rich]


class TestCommand:
    def test_tells_each_fit_and_who_has_too_few(self, study: Study) -> None:
        rich, _ = make.make_deployment("rich"), make.make_deployment("poor")
        for number in range(8):
            answer(study, rich, number)
        out = StringIO()
        call_command("fit_energy", stdout=out)
        assert "0.02 J per prompt token + 0.5 J per output token (n = 8, estimated)" in out.getvalue()
        assert "not fitted. 0 measured answers" in out.getvalue()

    def test_says_what_one_model_lacks(self) -> None:
        make.make_deployment("poor")
        with pytest.raises(CommandError, match="8 are needed"):
            call_command("fit_energy", deployment="poor")
