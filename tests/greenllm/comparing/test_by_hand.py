"""Comparisons held against one made answer by answer, on answers made up by chance: the same figures to the digit."""

import random
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pytest

from benchmarks.models import Deployment, Measurement, Prompt, Response, Study
from benchmarks.paired import compare_samples, wilcoxon_p
from benchmarks.sci import SciInputs, score
from greenllm.comparing.outcomes import ACCURACY, DURATION, ENERGY, SCI, TOKENS
from greenllm.comparing.studies import ALL_MODELS, StudyComparison, compare_studies
from labeling.verdicts import UNDECIDED, verdicts_of
from tests import factories as make

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

MODELS, PROMPTS, REPEATS = 3, 7, 3
Values = dict[tuple[int, str], dict[str, float]]  # prompt and model, measure


def make_random_study(
    name: str, prompts: Sequence[Prompt], deployments: Sequence[Deployment], chance: random.Random, *intensities: float
) -> Study:
    """Make a study in which some answers, energies, scores, tokens and labels are missing."""
    study = make.make_study(name, repeats=REPEATS)
    for prompt in prompts:
        for deployment in deployments:
            for repeat in range(1, 1 + REPEATS):
                if chance.random() < 0.1:
                    continue
                response = make.make_response(
                    prompt,
                    deployment,
                    study=study,
                    repeat=repeat,
                    energy_j=None if chance.random() < 0.1 else chance.uniform(1, 90),
                    output_token_count=None if chance.random() < 0.1 else chance.randrange(1, 500),
                )
                facts = {"time_reserved_s": chance.uniform(0.1, 9), "total_embodied_emissions_gco2e": 1e5}
                Measurement.objects.filter(pk=response.measurement_id, energy_j__isnull=False).update(
                    carbon_intensity_gco2e_per_kwh=chance.choice(intensities), sci_gco2e=chance.uniform(0, 0.1), **facts
                )
                for _ in range(chance.randrange(3)):
                    make.make_label(response, chance.choice(["correct", "incorrect", "unsure"]))
    return study


def by_hand(study: Study, intensity: float | None) -> Values:
    """Return the mean of each value and the majority's verdict per prompt and model, answer by answer."""
    answers = Response.objects.finished().filter(study=study).select_related("measurement").order_by("pk")
    verdicts = verdicts_of(one.pk for one in answers)
    given: dict[tuple[int, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    votes: dict[tuple[int, str], int] = defaultdict(int)
    for one in answers.select_related("deployment__language_model"):
        key, measured = (one.prompt_id, one.deployment.language_model.name), one.measurement
        assert measured is not None
        sci = measured.sci_gco2e
        if intensity is not None and measured.carbon_intensity_gco2e_per_kwh != intensity:
            basis = (
                measured.energy_j, measured.time_reserved_s, intensity, measured.total_embodied_emissions_gco2e,
                measured.expected_lifespan_s, measured.resource_share,
            )  # fmt: skip
            sci = None if None in basis else score(SciInputs(*basis)).sci_gco2e  # type: ignore[arg-type]
        values = {
            ENERGY: measured.energy_j, SCI: sci, DURATION: measured.time_reserved_s, TOKENS: one.output_token_count,
        }  # fmt: skip
        for measure, value in values.items():
            if value is not None:
                given[key][measure].append(float(value))
        is_correct = verdicts.get(one.pk, UNDECIDED).is_correct
        votes[key] += 0 if is_correct is None else 1 if is_correct else -1
    found: Values = defaultdict(dict)
    for key, measures in given.items():
        found[key] = {measure: sum(values) / len(values) for measure, values in measures.items()}
    for key, balance in votes.items():
        if balance:
            found[key][ACCURACY] = float(balance > 0)
    return found


def pairs_by_hand(a: Values, b: Values, models: Sequence[str], measure: str) -> list[tuple[float, float]]:
    by_prompt: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for model in models:
        for prompt, one in a:
            key = (prompt, model)
            if one == model and measure in a[key] and measure in b.get(key, {}):
                by_prompt[prompt].append((a[key][measure], b[key][measure]))
    return [
        (sum(first for first, _ in values) / len(values), sum(second for _, second in values) / len(values))
        for _, values in sorted(by_prompt.items())
    ]


def check(comparison: StudyComparison, a: Values, b: Values) -> None:
    models = sorted({model for _, model in a} & {model for _, model in b})
    assert [one.model for one in comparison.rows][::5] == [*models, ALL_MODELS]
    assert comparison.pair_count == sum(bool(a[key]) and bool(b.get(key)) for key in a)
    for row in comparison.rows:
        pairs = pairs_by_hand(a, b, models if row.model == ALL_MODELS else [row.model], row.measure.key)
        assert row.n == len(pairs)
        if not pairs:
            assert row.paired is None
            continue
        first, second = (np.array(values) for values in zip(*pairs, strict=True))
        picks = np.random.default_rng(0).integers(0, len(pairs), size=(2000, len(pairs)))
        resampled = first[picks].mean(axis=1) - second[picks].mean(axis=1)
        assert row.paired is not None
        assert (row.paired.mean_a, row.paired.mean_b) == (first.mean(), second.mean())
        assert row.paired.difference.value == (first - second).mean()
        assert [row.paired.difference.low, row.paired.difference.high] == list(np.percentile(resampled, [2.5, 97.5]))
        if row.measure.key != ACCURACY:
            assert row.paired.p == wilcoxon_p(first - second)[0]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("intensity", [None, 385.0, 20.5])
def test_equals_what_is_made_answer_by_answer(seed: int, intensity: float | None) -> None:
    chance = random.Random(seed)
    prompts = [make.make_prompt() for _ in range(PROMPTS)]
    server = make.make_server()
    deployments = [make.make_deployment(f"model-{number}", server=server) for number in range(MODELS)]
    a = make_random_study("a", prompts[:-1], deployments, chance, 385.0)
    b = make_random_study("b", prompts[1:], deployments[1:], chance, *([385.0] if seed == 0 else [385.0, 100.0]))
    at = 385.0 if intensity is None and seed else intensity
    check(compare_studies(a=a, b=b, intensity=intensity), by_hand(a, at), by_hand(b, at))


def test_samples_resampled_together_are_as_each_alone() -> None:
    from benchmarks.paired import Sample

    generator = np.random.default_rng(5)
    sizes = (1, 40, 40, 7, 40, 3000)
    samples = [Sample(generator.gamma(2, 9, size), generator.gamma(2, 9, size)) for size in sizes]
    assert compare_samples([*samples, Sample.of([])]) == [*(compare_samples([one])[0] for one in samples), None]
