from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.inference.base import ModelDescription
from benchmarks.intervals import Interval
from greenllm.templatetags import figures


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(1.25, 1, "+1.2"), (-14.06, 1, "\u221214.1"), (0.0, 1, "0.0"), (-0.04, 1, "0.0"), (0.004, 2, "0.00")],
)
def test_a_change_has_its_sign_and_zero_none(value: float, digits: int, text: str) -> None:
    assert figures.signed(value, digits) == text


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [
        (None, "\u2013"),
        (0.0, "0.00\u00a0s"),
        (0.0000759, "0.0759\u00a0ms"),
        (0.001, "0.00100\u00a0s"),
        (2, "2.00\u00a0s"),
    ],
)
def test_a_duration_below_a_millisecond_is_told_in_them(duration_s: float | None, text: str) -> None:
    assert figures.seconds(duration_s) == text


def test_a_subscript_is_a_character_and_markup_is_escaped() -> None:
    assert figures.subscripted("SCI, mgCO2e, of <b>") == "SCI, mgCO₂e, of &lt;b&gt;"


class TestSignificant:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (0.0, "0.00"),
            (1.0, "1.00"),
            (0.5, "0.500"),
            (12.345, "12.3"),
            (123.45, "123"),
            (999.4, "999"),
            (999.6, "1,000"),
            (1234.0, "1,230"),
            (123_456.0, "123,000"),
            (9.995, "9.99"),
            (0.012345, "0.0123"),
            (0.00012345, "0.000123"),
            (-1234.0, "\u22121,230"),
            (-0.5, "\u22120.500"),
            (1.5e9, "1.5e+09"),
            (1.5e-9, "1.5e\u221209"),
        ],
    )
    def test_has_three_digits_and_no_exponent_for_ordinary_sizes(self, value: float, text: str) -> None:
        assert figures.significant(value) == text

    @pytest.mark.slow
    @given(st.floats(-1e12, 1e12))
    def test_is_within_half_a_unit_of_the_third_digit(self, value: float) -> None:
        told = float(figures.significant(value).replace(",", "").replace("\u2212", "-"))
        assert told == pytest.approx(value, rel=0.00501, abs=1e-320)

    def test_takes_another_number_of_digits(self) -> None:
        assert figures.significant(12.345, 2) == "12"


INTERVAL = Interval(0.5, 0.25, 0.75, 8)
ONE = Interval(0.5, 0.5, 0.5, 1)


class TestFilters:
    @pytest.mark.parametrize(
        ("write", "value", "text"),
        [
            pytest.param(figures.milligrams, 0.29736, "297", id="mass"),
            pytest.param(figures.milligrams, 0.0000207, "0.0207", id="small mass"),
            pytest.param(figures.milligrams, 0.0, "0.00", id="no mass"),
            pytest.param(figures.milligrams, None, "\u2013", id="mass is missing"),
            pytest.param(figures.percent, 0.726, "73\u00a0%", id="share"),
            pytest.param(figures.percent, 0.0, "0\u00a0%", id="share of none"),
            pytest.param(figures.percent, None, "\u2013", id="share is missing"),
            pytest.param(figures.percent_interval, INTERVAL, "25\u201375\u00a0%", id="interval of a share"),
            pytest.param(figures.percent_interval, None, "", id="no interval of a share"),
            pytest.param(figures.milligrams_value, 0.29736, "297.36", id="mass to sort by"),
            pytest.param(figures.milligrams_value, "", "", id="no mass to sort by"),
            pytest.param(figures.percent_value, 0.6857, "68.57", id="share to sort by"),
            pytest.param(figures.percent_value, None, "", id="no share to sort by"),
            pytest.param(figures.milligrams_interval, INTERVAL, "250 to 750", id="interval of a mass"),
            pytest.param(figures.milligrams_interval, ONE, "", id="one value has no spread"),
            pytest.param(figures.milligrams_interval, None, "", id="no interval of a mass"),
            pytest.param(figures.seconds, 1.2345, "1.23\u00a0s", id="duration"),
            pytest.param(figures.seconds, None, "\u2013", id="duration is missing"),
        ],
    )
    def test_write_the_figure_with_its_unit(self, write: Callable[[object], str], value: object, text: str) -> None:
        assert write(value) == text


class TestWeights:
    def test_names_what_the_server_tells(self) -> None:
        told = ModelDescription("tiny", "b179c9523d0e77", 93_800_000, "llama", "134.52M", "Q4_1", context_length=8192)
        assert figures.weights(told) == "134.52M, Q4_1, 93.8 MB, context 8192, b179c9523d0e"

    def test_says_where_it_tells_nothing(self) -> None:
        assert figures.weights(ModelDescription("tiny", "", None, "", "", "")) == "the server tells nothing more"


class TestWhoseWord:
    def test_is_told_in_words(self) -> None:
        assert figures.whose_word(("grader", "person")) == "graders, people"
        assert figures.whose_word(()) == ""
