import pytest

from benchmarks.meters.base import Quantity, Reading
from greenllm.studies.figures import Curve, Phase, Step, phases, power_chart, steps_of, thinned, unplaced_s

MS = 1_000_000


def curve(*steps: Step, period_ms: int = 100) -> Curve:
    return Curve("machine", "measured", period_ms * MS, steps)


class TestStepsOf:
    def test_take_a_power_as_it_is(self) -> None:
        readings = [Reading(200 * MS, 100 * MS, 1500)]
        assert steps_of(readings, Quantity.POWER_MW) == (Step(100 * MS, 200 * MS, 1500),)

    def test_turn_an_energy_into_the_mean_power_of_its_window(self) -> None:
        readings = [Reading(200 * MS, 100 * MS, 5_000_000)]  # 5 J in 0.1 s are 50 W
        assert steps_of(readings, Quantity.ENERGY_UJ) == (Step(100 * MS, 200 * MS, 50_000.0),)


class TestPhases:
    def test_follow_what_the_server_still_calls_loading(self) -> None:
        found = phases(reserved_ns=1_000 * MS, load_ns=100 * MS, prompt_eval_ns=200 * MS, eval_ns=600 * MS)
        assert [(part.name, part.start_s, part.end_s) for part in found] == [
            ("load", 0.0, 0.1),
            ("prefill", 0.1, pytest.approx(0.3)),
            ("decode", pytest.approx(0.3), 0.9),
        ]
        assert unplaced_s(found, reserved_ns=1_000 * MS) == pytest.approx(0.1)

    def test_begin_at_the_mark_where_nothing_was_loaded(self) -> None:
        found = phases(reserved_ns=1_000 * MS, load_ns=None, prompt_eval_ns=200 * MS, eval_ns=600 * MS)
        assert (found[0].start_s, found[0].duration_s) == (0.0, 0.2)

    @pytest.mark.parametrize(
        "durations",
        [
            pytest.param((None, 600 * MS), id="no prefill"),
            pytest.param((200 * MS, None), id="no decode"),
            pytest.param((500 * MS, 600 * MS), id="longer than the answer"),
        ],
    )
    def test_are_not_guessed(self, durations: tuple[int | None, int | None]) -> None:
        prompt_eval_ns, eval_ns = durations
        assert phases(reserved_ns=1_000 * MS, load_ns=0, prompt_eval_ns=prompt_eval_ns, eval_ns=eval_ns) == ()


class TestPowerChart:
    def test_steps_over_each_window_in_watts_and_seconds(self) -> None:
        steps = (Step(900 * MS, 1000 * MS, 10_000), Step(1000 * MS, 1100 * MS, 50_500))
        chart = power_chart([curve(*steps)], start_ns=1000 * MS, stop_ns=1100 * MS, parts=(), title="Power")
        line = chart.figure["data"][0]
        assert (line["x"], line["y"]) == ([-0.1, 0.0, 0.1], [10.0, 10.0, 50.5])
        assert line["line"]["shape"] == "vh"  # up at the begin of a window, along to its end
        assert line["name"] == "machine (measured)"

    def test_breaks_the_line_at_a_gap(self) -> None:
        steps = (Step(0, 100 * MS, 1000), Step(500 * MS, 600 * MS, 2000))
        line = power_chart([curve(*steps)], start_ns=0, stop_ns=600 * MS, parts=(), title="").figure["data"][0]
        assert (line["x"], line["y"]) == ([0.0, 0.1, None, 0.5, 0.6], [1.0, 1.0, None, 2.0, 2.0])
        assert not line["connectgaps"]

    def test_holds_on_over_a_sample_that_is_a_little_late(self) -> None:
        steps = (Step(0, 100 * MS, 1000), Step(350 * MS, 450 * MS, 2000))  # a device that sees 100 ms now and then
        line = power_chart([curve(*steps)], start_ns=0, stop_ns=450 * MS, parts=(), title="").figure["data"][0]
        assert None not in line["x"]

    def test_marks_start_stop_and_the_phases(self) -> None:
        parts = (Phase("prefill", 0.0, 0.1), Phase("decode", 0.1, 0.4))
        chart = power_chart([curve(Step(0, 100 * MS, 1))], start_ns=0, stop_ns=500 * MS, parts=parts, title="Power")
        layout = chart.figure["layout"]
        assert [(shape["x0"], shape["x1"]) for shape in layout["shapes"]] == [
            (0.0, 0.0), (0.5, 0.5), (0.0, 0.1), (0.1, 0.4),
        ]  # fmt: skip
        assert [note["text"] for note in layout["annotations"]] == ["prefill", "decode"]

    def test_names_no_phase_that_is_too_short_to_be_seen(self) -> None:
        parts = (Phase("load", 0.0, 0.001), Phase("prefill", 0.001, 0.1))
        chart = power_chart([curve(Step(0, 100 * MS, 1))], start_ns=0, stop_ns=500 * MS, parts=parts, title="Power")
        assert [note["text"] for note in chart.figure["layout"]["annotations"]] == ["prefill"]
        assert "load from 0 to 0.001 s" in chart.description

    def test_keeps_the_lines_of_the_names_above_the_curve(self) -> None:
        parts = (Phase("prefill", 0.0, 0.1), Phase("decode", 0.1, 0.4))
        steps = [curve(Step(0, 100 * MS, 42_000))]
        axis = power_chart(steps, start_ns=0, stop_ns=500 * MS, parts=parts, title="").figure["layout"]["yaxis"]
        assert axis["range"] == [0, 50]  # two names, 8 % of the height each
        bare = power_chart(steps, start_ns=0, stop_ns=500 * MS, parts=(), title="").figure["layout"]["yaxis"]
        assert bare["rangemode"] == "tozero"

    def test_tells_in_words_what_it_shows(self) -> None:
        steps = (Step(0, 100 * MS, 10_000), Step(100 * MS, 200 * MS, 50_000))
        chart = power_chart(
            [curve(*steps)], start_ns=0, stop_ns=200 * MS, parts=(Phase("prefill", 0.0, 0.1),), title="Power"
        )
        assert chart.description == (
            "Power of 1 channel over an answer of 0.2 s. machine: 10 to 50 W in 2 samples. prefill from 0 to 0.1 s."
        )

    def test_gives_every_channel_a_line(self) -> None:
        channels = [Curve(f"c{number}", "measured", MS, (Step(0, MS, 1),)) for number in range(8)]
        lines = power_chart(channels, start_ns=0, stop_ns=MS, parts=(), title="").figure["data"]
        assert [line["name"] for line in lines] == [f"c{number} (measured)" for number in range(8)]


class TestThinned:
    def test_leaves_a_curve_that_is_short_enough(self) -> None:
        short = curve(Step(0, MS, 1), Step(MS, 2 * MS, 2))
        assert thinned(short, 2) is short

    def test_keeps_the_energy_of_a_long_one(self) -> None:
        steps = [Step(0, 1 * MS, 3), Step(1 * MS, 3 * MS, 6), Step(3 * MS, 4 * MS, 9), Step(4 * MS, 5 * MS, 1)]
        found = thinned(curve(*steps, period_ms=1), 2)
        assert found.steps == (Step(0, 3 * MS, 5.0), Step(3 * MS, 5 * MS, 5.0))
        assert (found.merged_count, found.period_ns) == (2, 2 * MS)
