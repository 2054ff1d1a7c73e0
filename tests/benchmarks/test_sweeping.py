import pytest

from benchmarks.models import ParameterSet
from benchmarks.study_plan import Parameters, StudyError
from benchmarks.sweeping import grid_of, parse_sweep, varied_parameters, written


class TestParseSweep:
    def test_reads_whole_and_decimal_numbers(self) -> None:
        read = parse_sweep(["temperature=0,0.5, 1", "num_ctx = 1024,2048", "tfs_z=0.9"])
        assert read == {"temperature": (0.0, 0.5, 1.0), "num_ctx": (1024, 2048), "tfs_z": (0.9,)}

    @pytest.mark.parametrize(
        ("texts", "message"),
        [
            (["temperature"], "is no sweep: write a parameter"),
            (["=1,2"], "is no sweep"),
            (["two words=1"], "is no sweep"),
            (["temperature=0,,1"], "'' is not a number"),
            (["temperature=inf"], "'inf' is not a number"),
            (["seed=1.5"], "'1.5' is not a whole number"),
            (["top_p=0", "top_p=1"], "names top_p more than once"),
        ],
    )
    def test_says_what_is_wrong(self, texts: list[str], message: str) -> None:
        with pytest.raises(StudyError, match=message):
            parse_sweep(texts)


class TestGridOf:
    def test_has_a_named_set_for_each_combination(self) -> None:
        grid = grid_of(Parameters(seed=7), {"temperature": (0.0, 0.5), "num_ctx": (1_048_576, 2048)})
        assert [(one.name, one.temperature, one.num_ctx, one.seed) for one in grid] == [
            ("temperature=0, num_ctx=1048576", 0.0, 1_048_576, 7),
            ("temperature=0, num_ctx=2048", 0.0, 2048, 7),
            ("temperature=0.5, num_ctx=1048576", 0.5, 1_048_576, 7),
            ("temperature=0.5, num_ctx=2048", 0.5, 2048, 7),
        ]

    def test_of_single_values_is_one_set_without_a_name_of_its_own(self) -> None:
        assert grid_of(Parameters(), {"temperature": (0.5,), "top_k": ()}) == (Parameters(temperature=0.5),)

    def test_puts_what_has_no_field_among_the_extras(self) -> None:
        grid = grid_of(Parameters(extras={"min_p": 0.1}), {"tfs_z": (0.5, 1.0)})
        assert [one.extras for one in grid] == [{"min_p": 0.1, "tfs_z": 0.5}, {"min_p": 0.1, "tfs_z": 1.0}]
        assert [one.name for one in grid] == ["tfs_z=0.5", "tfs_z=1"]

    def test_refuses_a_value_named_twice(self) -> None:
        with pytest.raises(StudyError, match="temperature names the value 0.5 more than once") as caught:
            grid_of(Parameters(), {"temperature": (0.5, 1.0, 0.5)})
        assert caught.value.field == "temperature"

    def test_refuses_more_sets_than_anybody_means_before_it_makes_them(self) -> None:
        values = tuple(range(1, 10_000))
        with pytest.raises(StudyError, match="would have 99,980,001 sets .* at most 200"):
            grid_of(Parameters(), {"seed": values, "top_k": values})


class TestVariedParameters:
    def test_are_those_that_differ_with_extras_last(self) -> None:
        sets = [
            ParameterSet(temperature=0.0, num_ctx=None, extras={"stop": ["x"]}),
            ParameterSet(temperature=1.0, num_ctx=2048, extras={"stop": ["x"], "min_p": 0.1}),
        ]
        assert varied_parameters(sets) == ("temperature", "num_ctx", "min_p")
        assert varied_parameters(sets[:1]) == ()


@pytest.mark.parametrize(("value", "text"), [(0.0, "0"), (0.5, "0.5"), (2**62, str(2**62)), (1e-7, "1e-07")])
def test_written_is_what_a_person_would_type(value: float, text: str) -> None:
    assert written(value) == text


def test_counts_likely_tokens_in_whole_numbers() -> None:
    assert repr(parse_sweep(["top_logprobs=2"])) == "{'top_logprobs': (2,)}"
