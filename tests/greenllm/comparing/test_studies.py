import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from benchmarks.models import Measurement, Prompt, Study
from benchmarks.paired import Paired, Sample
from greenllm.comparing import studies
from greenllm.comparing.studies import ALL_MODELS, ComparedRow, NothingToPair, StudyComparison, compare_studies
from tests import factories as make

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


def answered(
    study: Study, prompts: Sequence[Prompt], energies: Sequence[float | None], model: str = "tiny", **facts: Any
) -> None:
    """Give a study one measured answer of a model to each prompt."""
    from benchmarks.models import Deployment

    deployment = Deployment.objects.filter(language_model__name=model).first() or make.make_deployment(model)
    for prompt, energy in zip(prompts, energies, strict=True):
        make.make_response(prompt, deployment, study=study, energy_j=energy, **facts)


def row(comparison: StudyComparison, measure: str, model: str = "tiny") -> ComparedRow:
    return next(one for one in comparison.rows if (one.model, one.measure.key) == (model, measure))


@pytest.fixture
def prompts() -> list[Prompt]:
    return [make.make_prompt() for _ in range(8)]


@pytest.fixture
def pair(prompts: list[Prompt]) -> tuple[Study, Study]:
    """Two studies of which A uses 10 % less energy on every prompt."""
    a, b = make.make_study("a"), make.make_study("b")
    answered(a, prompts, [9.0 * size for size in range(1, 9)], output_token_count=10)
    answered(b, prompts, [10.0 * size for size in range(1, 9)], output_token_count=10)
    return a, b


class TestCompareStudies:
    def test_pairs_by_prompt_and_model(self, pair: tuple[Study, Study]) -> None:
        energy = row(compare_studies(a=pair[0], b=pair[1]), "energy").paired
        assert energy is not None
        assert (energy.n, energy.mean_a, energy.mean_b) == (8, pytest.approx(40.5), pytest.approx(45.0))
        assert energy.ratio is not None
        assert (energy.ratio.value, energy.ratio.low, energy.ratio.high) == pytest.approx((0.9, 0.9, 0.9))
        assert energy.p == pytest.approx(2 / 2**8)

    def test_says_it_in_words(self, pair: tuple[Study, Study]) -> None:
        words = row(compare_studies(a=pair[0], b=pair[1]), "energy").words
        # 2/2**8 times the two rows that are tested (time and tokens do not differ)
        assert words == "a used 10 % less energy than b (95 % interval 10 to 10 %), 8 pairs, p = 0.016."

    def test_says_where_nothing_differs(self, pair: tuple[Study, Study]) -> None:
        assert row(compare_studies(a=pair[0], b=pair[1]), "tokens").words == (
            "Output tokens: the same in a and b in all 8 pairs."
        )

    def test_adjusts_p_over_the_rows(self, pair: tuple[Study, Study]) -> None:
        comparison = compare_studies(a=pair[0], b=pair[1])
        assert row(comparison, "energy").p_adjusted == pytest.approx(2 * 2 / 2**8)
        assert row(comparison, "tokens").p_adjusted is None
        assert row(comparison, "tokens").reason == "only 0 pairs differ, 6 are needed for a test"

    def test_averages_repeats_first(self, prompts: list[Prompt]) -> None:
        a, b = make.make_study("a", repeats=2), make.make_study("b")
        answered(a, prompts, [10.0] * 8, repeat=1)
        answered(a, prompts, [20.0] * 8, repeat=2)
        answered(b, prompts, [15.0] * 8)
        comparison = compare_studies(a=a, b=b)
        energy = row(comparison, "energy").paired
        assert energy is not None
        assert (energy.n, energy.mean_a, energy.difference.value) == (8, 15.0, 0.0)
        assert "Another number of repeats: 2 in a, 1 in b." in comparison.notes

    def test_counts_only_what_both_have(self, prompts: list[Prompt]) -> None:
        a, b = make.make_study("a"), make.make_study("b")
        answered(a, prompts[:7], [1.0] * 6 + [None])
        answered(b, prompts[1:], [2.0] * 7)
        comparison = compare_studies(a=a, b=b)
        assert row(comparison, "energy").n == 5
        assert "1 of 7 answers of a have no energy; they are left out." in comparison.notes

    def test_of_few_pairs_gives_no_p(self, prompts: list[Prompt]) -> None:
        a, b = make.make_study("a"), make.make_study("b")
        answered(a, prompts[:5], [1.0] * 5)
        answered(b, prompts[:5], [2.0] * 5)
        energy = row(compare_studies(a=a, b=b), "energy")
        assert energy.p_adjusted is None
        assert energy.words == (
            "Not tested: a used 50 % less energy than b (95 % interval 50 % less energy to 50 % less "
            "energy), 5 pairs, no test (only 5 pairs differ, 6 are needed for a test)."
        )

    def test_does_not_compare_energies_of_unlike_quality(self, prompts: list[Prompt]) -> None:
        a, b = make.make_study("a"), make.make_study("b")
        answered(a, prompts, [1.0] * 8, quality="measured")
        answered(b, prompts, [2.0] * 8, quality="estimated")
        comparison = compare_studies(a=a, b=b)
        for measure in ("energy", "sci"):
            found = row(comparison, measure)
            assert (found.n, found.paired, found.quality) == (0, None, "measured / estimated")
            assert found.reason == "not compared: the energy of A is measured, that of B estimated"
        assert row(comparison, "energy").words == (
            "Energy is not compared: the energy of A is measured, that of B estimated."
        )
        assert row(comparison, "duration").n == 8
        assert "Another quality of the energy: measured in a, estimated in b." in comparison.notes

    def test_compares_sci_at_one_intensity(self, prompts: list[Prompt]) -> None:
        a, b = make.make_study("a"), make.make_study("b", carbon_intensity_gco2e_per_kwh=100.0)
        answered(a, prompts, [float(size) for size in range(1, 9)])
        answered(b, prompts, [float(size) for size in range(1, 9)])
        of_b = Measurement.objects.filter(response__study=b)
        of_b.update(carbon_intensity_gco2e_per_kwh=100.0, sci_gco2e=0.001)
        comparison = compare_studies(a=a, b=b)
        sci = row(comparison, "sci").paired
        assert comparison.intensity_gco2e_per_kwh == 385.0
        assert sci is not None
        assert sci.difference.value == pytest.approx(0.0, abs=1e-15)
        assert "SCI is compared at 385 gCO2e/kWh for both, made anew from the stored energy (a: 385, b: 100)." in (
            comparison.notes
        )
        assert set(of_b.values_list("sci_gco2e", flat=True)) == {0.001}  # only in memory

    def test_takes_an_intensity(self, pair: tuple[Study, Study]) -> None:
        sci = row(compare_studies(a=pair[0], b=pair[1], intensity=0.0), "sci").paired
        assert sci is not None
        assert sci.mean_a == pytest.approx(574_100 / 126_144_000)  # embodied emissions of one second alone
        assert sci.difference.value == pytest.approx(0.0)

    def test_compares_accuracy_by_mcnemar(self, prompts: list[Prompt]) -> None:
        a, b = make.make_study("a"), make.make_study("b")
        answered(a, prompts, [1.0] * 8, verdict="correct")
        answered(b, prompts, [1.0] * 8, verdict="incorrect")
        found = row(compare_studies(a=a, b=b), "accuracy")
        assert found.paired is not None
        assert (found.paired.test, found.paired.p, found.paired.difference.value) == ("McNemar exact", 2 / 2**8, 1.0)
        assert found.words.startswith("a answered 100 % right and b 0 %, 100 points more prompts right")

    def test_says_where_nobody_judged(self, pair: tuple[Study, Study]) -> None:
        assert row(compare_studies(a=pair[0], b=pair[1]), "accuracy").words == (
            "Accuracy: no answer is judged on both sides."
        )

    def test_has_a_row_over_all_models(self, pair: tuple[Study, Study], prompts: list[Prompt]) -> None:
        answered(pair[0], prompts, [2.0] * 8, model="big")
        answered(pair[1], prompts, [4.0] * 8, model="big")
        comparison = compare_studies(a=pair[0], b=pair[1])
        found = row(comparison, "energy", ALL_MODELS).paired
        assert found is not None
        assert (found.n, found.mean_a, found.mean_b) == (8, pytest.approx(21.25), pytest.approx(24.5))
        assert [one.model for one in comparison.rows][::5] == ["big", "tiny", ALL_MODELS]
        assert comparison.pair_count == 16

    def test_pairs_across_models(self, pair: tuple[Study, Study], prompts: list[Prompt]) -> None:
        answered(pair[0], prompts, [1.0] * 8, model="big")
        comparison = compare_studies(a=pair[0], b=pair[0], across_models=("big", "tiny"))
        found = row(comparison, "energy", "big / tiny")
        energy = found.paired
        assert energy is not None
        assert found.words.startswith("big used 98 % less energy than tiny")
        assert (energy.mean_a, energy.mean_b) == (1.0, pytest.approx(40.5))

    def test_refuses_where_nothing_pairs(self, prompts: list[Prompt]) -> None:
        a, b = make.make_study("a"), make.make_study("b")
        answered(a, prompts, [1.0] * 8)
        answered(b, prompts, [1.0] * 8, model="big")
        with pytest.raises(NothingToPair, match="have no prompt that the same language model answered in both"):
            compare_studies(a=a, b=b)
        with pytest.raises(NothingToPair, match="a has no answers of 'x'. It has answers of: tiny"):
            compare_studies(a=a, b=b, across_models=("x", "big"))

    def test_tells_of_another_machine_boundary_and_parameters(self, pair: tuple[Study, Study]) -> None:
        other = make.make_machine("other", cpu_model="Xeon")
        Study.objects.filter(pk=pair[1].pk).update(machine=other)
        pair[1].parameter_sets.update(temperature=0.7)
        Measurement.objects.filter(response__study=pair[1]).update(boundary="cpu")
        notes = compare_studies(a=pair[0], b=Study.objects.get(pk=pair[1].pk)).notes
        assert any(note.startswith("Another machine: test in a, other (Xeon) in b") for note in notes)
        assert any(note.startswith("Another boundary:") for note in notes)
        assert any("temperature=0.7" in note for note in notes)


class TestKeptSamples:
    def test_are_compared_once_and_say_what_they_would_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[int] = []
        compare_samples = studies.compare_samples

        def counting(samples: Sequence[Sample]) -> list[Paired | None]:
            asked.append(len(samples))
            return compare_samples(samples)

        monkeypatch.setattr(studies, "compare_samples", counting)
        draws = np.random.default_rng(5)
        first, second, third = (Sample(draws.random(40), draws.random(40)) for _ in range(3))
        verdicts = Sample(first.first.round(), first.second.round(), are_verdicts=True)
        values = Sample(verdicts.first, verdicts.second)
        studies._compare([first, second])
        assert studies._compare([second, third, first, second]) == compare_samples([second, third, first, second])
        assert studies._compare([verdicts, values]) == compare_samples([verdicts, values])
        assert asked == [2, 1, 2]

    def test_of_large_samples_outlive_the_process(self, monkeypatch: pytest.MonkeyPatch) -> None:
        draws = np.random.default_rng(7)
        samples = [Sample(draws.random(1000), draws.random(1000)) for _ in range(2)]
        made = studies._compare(samples)
        monkeypatch.setattr(studies, "_COMPARED", OrderedDict())
        monkeypatch.setattr(studies, "_RECALLED", threading.Event())
        monkeypatch.setattr(studies, "compare_samples", lambda unknown: [None] * len(unknown))
        assert studies._compare(samples) == made
        assert studies._compare([Sample(draws.random(1000), draws.random(1000))]) == [None]
