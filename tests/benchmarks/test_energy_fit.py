"""Energy against lengths: coefficients found again from made answers, whatever a few odd ones say."""

import numpy as np
import pytest

from benchmarks.energy_fit import (
    Answered,
    Source,
    TooFewAnswers,
    fit_lengths,
    fit_tokens,
    load_duration_s,
    mean_power_w,
    robust_coefficients,
)

FIXED, PER_PROMPT, PER_OUTPUT = 2.0, 0.01, 0.3


def answers(
    count: int = 60, *, noise: float = 0.0, prompt_tokens: int | None = None, has_phases: bool = False
) -> list[Answered]:
    """Make answers whose energies follow the coefficients above."""
    random = np.random.default_rng(5)
    made = []
    for _ in range(count):
        prompt = prompt_tokens or int(random.integers(20, 400))
        output = int(random.integers(10, 200))
        prefill, decode = PER_PROMPT * prompt, PER_OUTPUT * output
        made.append(
            Answered(
                characters=4 * (prompt - 12),
                prompt_tokens=prompt,
                output_tokens=output,
                energy_j=FIXED + prefill + decode + noise * float(random.standard_normal()),
                prefill_j=prefill if has_phases else None,
                decode_j=decode if has_phases else None,
            )
        )
    return made


class TestFitLengths:
    def test_finds_the_coefficients_of_the_whole_energy(self) -> None:
        fit = fit_lengths(answers(400, noise=0.1))
        assert fit.j_per_prompt_token == pytest.approx(PER_PROMPT, rel=0.05)
        assert fit.j_per_output_token == pytest.approx(PER_OUTPUT, rel=0.02)
        assert fit.fixed_j == pytest.approx(FIXED, rel=0.1)
        assert (fit.prompt_source, fit.output_source) == (Source.WHOLE, Source.WHOLE)
        assert fit.residual_spread_j == pytest.approx(0.1, rel=0.2)
        assert fit.r_squared is not None
        assert fit.r_squared > 0.99

    def test_is_not_bent_by_a_few_odd_answers(self) -> None:
        spoilt = answers(100, noise=0.1)
        for place in range(8):
            one = spoilt[place]
            spoilt[place] = Answered(one.characters, one.prompt_tokens, one.output_tokens, one.energy_j * 8)
        fit = fit_lengths(spoilt)
        assert fit.j_per_output_token == pytest.approx(PER_OUTPUT, rel=0.05)
        assert fit.outlier_count >= 8

    def test_takes_the_phases_where_the_samples_show_them(self) -> None:
        fit = fit_lengths(answers(has_phases=True, noise=3.0))
        assert (fit.prompt_source, fit.output_source) == (Source.TRACE, Source.TRACE)
        assert fit.j_per_prompt_token == pytest.approx(PER_PROMPT)
        assert fit.j_per_output_token == pytest.approx(PER_OUTPUT)
        assert (fit.prefill_count, fit.decode_count) == (60, 60)

    def test_of_prompts_of_one_length_tells_nothing_of_longer_ones(self) -> None:
        fit = fit_lengths(answers(prompt_tokens=100))
        assert (fit.j_per_prompt_token, fit.prompt_source) == (None, Source.NONE)
        assert fit.j_per_output_token == pytest.approx(PER_OUTPUT)
        assert fit.fixed_j == pytest.approx(FIXED + PER_PROMPT * 100)

    def test_of_prompts_of_much_the_same_length_does_not_take_what_is_fixed_for_theirs(self) -> None:
        alike = [Answered(4 * n, n, 10 + n % 7 * 9, 6 + n / 100) for n in range(43, 71)]
        assert fit_lengths(alike).prompt_source == Source.NONE

    def test_of_prompts_of_one_length_with_phases_tells_their_share(self) -> None:
        fit = fit_lengths(answers(prompt_tokens=100, has_phases=True))
        assert fit.j_per_prompt_token == pytest.approx(PER_PROMPT)

    def test_never_has_a_coefficient_below_zero(self) -> None:
        falling = [Answered(4 * n, n, 100, 50 - n / 10) for n in range(20, 120)]
        fit = fit_lengths(falling)
        assert fit.j_per_prompt_token == 0
        assert fit.fixed_j > 0

    def test_tells_the_lengths_that_it_saw(self) -> None:
        fit = fit_lengths([Answered(40, 10 + n, 5 + n, 1.0 + n) for n in range(10)])
        assert (fit.prompt_tokens_least, fit.prompt_tokens_most) == (10, 19)
        assert (fit.output_tokens_least, fit.output_tokens_most) == (5, 14)

    def test_expects_the_energy_of_other_lengths(self) -> None:
        assert fit_lengths(answers()).energy_j(1000, 100) == pytest.approx(FIXED + 10 + 30, rel=1e-3)

    def test_of_alike_energies_has_no_r_squared(self) -> None:
        fit = fit_lengths([Answered(40, 10, 5, 3.0)] * 8)
        assert (fit.r_squared, fit.fixed_j, fit.outlier_count) == (None, pytest.approx(3.0), 0)

    def test_refuses_too_few_answers(self) -> None:
        with pytest.raises(TooFewAnswers, match="7 measured answers"):
            fit_lengths(answers(7))


class TestFitTokens:
    def test_parts_the_template_from_the_text(self) -> None:
        assert fit_tokens([(c, 12 + c // 4) for c in range(40, 800, 40)]) == pytest.approx((4.0, 12.0))

    def test_of_prompts_of_one_length_is_their_ratio(self) -> None:
        assert fit_tokens([(400, 100)] * 9) == (4.0, 0.0)


class TestRobustCoefficients:
    def test_equals_least_squares_where_nothing_is_odd(self) -> None:
        random = np.random.default_rng(1)
        columns = np.column_stack([np.ones(500), random.uniform(0, 10, 500)])
        target = columns @ np.array([3.0, 2.0]) + random.normal(0, 0.1, 500)
        expected = np.linalg.lstsq(columns, target, rcond=None)[0]
        assert robust_coefficients(columns, target) == pytest.approx(expected, rel=0.01)


class TestLoads:
    def test_are_the_waits_that_were_long_enough(self) -> None:
        assert load_duration_s([0.01, 2.0, 0.02, 3.0, 0.01, 4.0]) == 3.0

    def test_of_a_model_that_was_there_are_unknown(self) -> None:
        assert load_duration_s([0.01, 0.02]) is None

    @pytest.mark.parametrize(
        ("powers", "expected"), [([(10.0, 1.0), (50.0, 2.0)], 20.0), ([], None), ([(5.0, 0.0)], None)]
    )
    def test_mean_power_is_that_of_all_the_time(
        self, powers: list[tuple[float, float]], expected: float | None
    ) -> None:
        assert mean_power_w(powers) == expected
