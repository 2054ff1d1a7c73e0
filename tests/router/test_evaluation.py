"""Evaluation: splits without leaks, books that add up, tuning that keeps its promise, reports that can be read."""

import json

import numpy as np
import pytest

from router.estimate import Estimator, UnusableOutcomes
from router.evaluation.booking import Calibration, Steadiness
from router.evaluation.mixing import Single, cheapest_mix, frontier, most_accurate_mix
from router.evaluation.own_cost import OwnCost
from router.evaluation.perturbing import reworded, with_typos
from router.evaluation.report import report
from router.evaluation.running import Approach, Run, Written, dial_of, run, usual_approaches
from router.evaluation.table import FEWEST_PROMPTS, Table, split
from router.evaluation.tuning import Tuned, finest_of, trials, tune
from router.expecting import Choices, worth_of
from router.policies import Fixed, Floor, Knn

COUNT = 240
# of two kinds: the cheap model answers the first right, the dear one both, the bad one none
MODELS = ("bad", "cheap", "dear")


def table(count: int = COUNT, *, noise: float = 0.0, missing: float = 0.0, seed: int = 0) -> Table:
    chance = np.random.default_rng(seed)
    kinds = np.arange(count) % 2
    vectors = chance.normal(scale=0.1, size=(count, 8))
    vectors[np.arange(count), kinds] += 1
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    right = np.stack([np.zeros(count), kinds == 0, np.ones(count)], axis=1).astype(np.float64)
    flipped = chance.random(right.shape) < noise
    right[flipped] = 1 - right[flipped]
    right[chance.random(right.shape) < missing] = np.nan
    costs = np.tile([0.5, 1.0, 10.0], (count, 1))
    return Table(
        MODELS, vectors.astype(np.float32), kinds, ("Easy", "Hard"),
        tuple(f"{'easy' if kind == 0 else 'hard'} question number {n}" for n, kind in enumerate(kinds)),
        right, costs, "J",
    )  # fmt: skip


@pytest.fixture(scope="module")
def found() -> Run:
    """A run of everything on a table that can be routed perfectly."""
    return run(table(), approaches=usual_approaches(), split_count=3)


class TestSplit:
    def test_parts_share_no_text_and_are_whole(self) -> None:
        twice = table()
        doubled = Table(
            twice.models, np.concatenate([twice.vectors] * 2), np.concatenate([twice.categories] * 2),
            twice.category_names, twice.texts * 2, np.concatenate([twice.scores] * 2),
            np.concatenate([twice.costs] * 2), "J",
        )  # fmt: skip
        part = split(doubled, seed=3)
        texts = [{doubled.texts[row] for row in rows} for rows in (part.train, part.calibration, part.test)]
        assert sum(map(len, texts)) == len(set(doubled.texts)) == COUNT
        assert [len(one) for one in texts] == [144, 36, 60]
        assert sorted([*part.learned, *part.test]) == list(range(2 * COUNT))

    def test_is_the_same_for_the_same_seed_alone(self) -> None:
        one, same, other = (split(table(), seed=seed).test.tolist() for seed in (1, 1, 2))
        assert one == same != other

    def test_of_too_few_prompts_is_refused(self) -> None:
        with pytest.raises(UnusableOutcomes, match=f"29 different ones are too few .* at least {FEWEST_PROMPTS}"):
            split(table(29), seed=0)

    def test_needs_shares_that_add_up(self) -> None:
        with pytest.raises(UnusableOutcomes, match="must add up to 1"):
            split(table(), seed=0, shares=(0.5, 0.1, 0.1))


class TestTune:
    def tuned(self, change: float, *, noise: float = 0.2) -> tuple[float, float]:
        whole = table(noise=noise)
        part = split(whole, seed=0)
        estimator = Estimator(whole.known(part.train))
        rows = part.calibration
        found = tune(
            Knn(), estimator=estimator, estimates=estimator.estimate(whole.vectors[rows]),
            right=whole.is_right[rows], costs=whole.costs[rows], fallback=2, accuracy_change=change,
        )  # fmt: skip
        return found.accuracy_change, found.saving

    def test_keeps_to_the_allowed_change_on_its_own_prompts(self) -> None:
        assert self.tuned(-0.01)[0] >= -0.01

    def test_saves_more_the_more_may_be_lost(self) -> None:
        assert self.tuned(-0.6)[1] > self.tuned(0.0)[1] >= 0

    def test_saves_nothing_where_nothing_can_be_saved(self) -> None:
        assert self.tuned(0.5) == (0.0, 0.0)


class TestFinest:
    COARSE = (Tuned(0.0, 0.0, 0.0, 9), Tuned(1.0, -0.004, 0.2, 9), Tuned(2.0, -0.02, 0.4, 9))

    def test_takes_what_saves_more_next_to_the_best_and_keeps_to_the_loss(self) -> None:
        asked = []

        def closer(best: Tuned) -> list[Tuned]:
            asked.append(best)
            return [Tuned(1.4, -0.009, 0.3, 9), Tuned(1.8, -0.012, 0.35, 9)]

        assert finest_of(self.COARSE, closer, accuracy_change=-0.01).sci_price == 1.4
        assert asked == [self.COARSE[1]]

    def test_looks_no_closer_where_nothing_is_saved(self) -> None:
        found = finest_of(self.COARSE[:1], lambda _: pytest.fail("nothing to look at"), accuracy_change=-0.01)
        assert found.saving == 0

    @pytest.mark.parametrize("near", [Tuned(3.0, -0.01, 0.2, 9), Tuned(0.0, -0.01, 0.2, 9, 0.01)])
    def test_tries_only_what_saves_more(self, near: Tuned) -> None:
        whole = table()
        estimator = Estimator(whole.known(np.arange(40)))
        policy = Knn() if near.accuracy_floor is None else Floor(accuracy=1.0)
        tried = trials(
            policy, estimator=estimator, estimates=estimator.estimate(whole.vectors),
            right=whole.is_right, costs=whole.costs, fallback=2, near=near,
        )  # fmt: skip
        assert len(tried) == 40
        if near.accuracy_floor is None:
            assert near.sci_price == pytest.approx(tried[0].sci_price)
            assert tried[0].sci_price < tried[-1].sci_price < 1.2 * near.sci_price
        else:
            assert [one.accuracy_floor for one in (tried[0], tried[-1])] == [0.01, 0.0]


class TestRun:
    @pytest.mark.slow
    def test_books_each_model_as_the_table_has_it(self, found: Run) -> None:
        rows = {row.title: row for row in report(found).rows}
        assert rows["dear"].accuracy.value == 1.0
        assert rows["bad"].accuracy.value == 0.0
        assert rows["cheap"].cost.value == 1.0
        assert rows["cheapest"].accuracy.value == 0.0
        assert rows["random"].cost.value == pytest.approx(11.5 / 3)
        assert rows["best single"].saving.value == 0.0

    @pytest.mark.slow
    def test_finds_what_can_be_saved_at_no_loss(self, found: Run) -> None:
        rows = {row.title: row for row in report(found).rows}
        for title in ("oracle", "nearest", "category, label known", "knn, neighbours", "knn, regression"):
            assert rows[title].accuracy.value == 1.0, title
            assert rows[title].saving.value == pytest.approx(rows["oracle"].saving.value), title
        assert 0.35 < rows["oracle"].saving.value < 0.55

    @pytest.mark.slow
    def test_is_the_same_for_the_same_seed(self, found: Run) -> None:
        again = run(table(), approaches=usual_approaches(), split_count=3)
        assert report(again) == report(found)

    def test_reports_every_prompt_once_a_split_that_has_it(self, found: Run) -> None:
        ledger = next(one for one in found.ledgers if one.title == "nearest")
        assert ledger.right_count.sum() == 3 * 60

    @pytest.mark.slow
    def test_leaves_missing_cells_out(self) -> None:
        half = run(table(missing=0.5), approaches=usual_approaches(), split_count=2)
        ledger = next(one for one in half.ledgers if one.title == "dear")
        assert 0 < ledger.right_count.sum() < 2 * 60
        assert ledger.cost_count.sum() == 2 * 60
        assert report(half).row("dear").accuracy.value == 1.0

    def test_tells_its_progress(self) -> None:
        told: list[int] = []
        run(table(), approaches=[Approach("dear", Fixed(model=2))], split_count=2, on_progress=told.append)
        assert told == [1, 2]

    def test_looks_at_what_is_written_otherwise(self) -> None:
        whole = table()
        swapped = whole.vectors[np.arange(COUNT) ^ 1]  # every prompt looks like one of the other kind
        written = {"same": Written(whole.texts, whole.vectors), "swapped": Written(whole.texts, swapped)}
        steady = run(whole, approaches=usual_approaches()[:1], split_count=1, written=written).steadiness
        same, other = steady["nearest", "same"], steady["nearest", "swapped"]
        assert same.unchanged == same.prompt_count == 60
        assert other.unchanged == 0
        assert other.right < other.right_before


class TestReport:
    @pytest.mark.slow
    def test_has_intervals_that_hold_their_value(self) -> None:
        noisy = report(run(table(noise=0.2), approaches=usual_approaches(), split_count=3))
        for row in noisy.rows:
            for interval in (row.accuracy, row.cost, row.accuracy_change, row.saving):
                assert interval.low <= interval.value <= interval.high
                assert interval.n == 3
        assert noisy.row("random").accuracy_change.high < 0

    def test_names_the_mix_of_two_models_at_the_same_cost(self, found: Run) -> None:
        rows = report(found)
        cost = rows.row("nearest").cost.value
        right = rows.row("cheap").accuracy.value
        mixed = right + (cost - 1) / 9 * (1 - right)
        assert rows.row("nearest").mixture == pytest.approx(mixed)

    def test_can_be_written_as_json(self, found: Run) -> None:
        written = json.loads(json.dumps(report(found).as_json(), allow_nan=False))
        assert written["format"] == 2
        assert written["fallbacks"] == {"dear": 3}
        assert {row["kind"] for row in written["rows"]} == {"model", "control", "policy"}

    def test_of_a_floor_takes_the_cheapest_that_reaches_it(self) -> None:
        approach = Approach("floor", Floor(accuracy=0.9))
        row = report(run(table(), approaches=[approach], split_count=2)).row("floor")
        assert row.accuracy.value == 1.0
        assert row.saving.value > 0.3


class TestDial:
    @pytest.mark.slow
    def test_saves_more_the_more_may_be_lost(self) -> None:
        approaches = [Approach("knn", Knn(), target=-0.01)]
        found = report(run(table(noise=0.2), approaches=[*approaches, *dial_of(approaches)], split_count=3))
        dial = sorted((row for row in found.rows if "knn" in {row.title, row.dial_of}), key=lambda row: row.target or 0)
        assert [row.target for row in dial] == [-0.05, -0.02, -0.01, -0.005, 0.0]
        assert dial[0].saving.value > dial[-1].saving.value
        assert {row.kind for row in dial} == {"policy", "dial"}
        assert list(found.calibration) == ["knn"]  # the estimates of the whole dial are the same

    def test_is_that_of_tuned_policies_only(self) -> None:
        assert dial_of([Approach("knn", Knn()), Approach("dear", Fixed(model=2))]) == []


class TestOwnCost:
    @pytest.mark.slow
    def test_is_in_the_cost_of_what_embeds(self, found: Run) -> None:
        without, booked = report(found), report(found, own_cost=OwnCost(0.5, "measured", 10, "an index"))
        for title, extra in (("nearest", 0.5), ("guarded", 0.5), ("category, label known", 0.0), ("oracle", 0.0)):
            assert booked.row(title).cost.value == pytest.approx(without.row(title).cost.value + extra)
        assert booked.row("nearest").saving.value < without.row("nearest").saving.value
        assert booked.row("nearest").own_cost == 0.5

    def test_that_is_missing_is_not_zero(self, found: Run) -> None:
        row = report(found).row("nearest")
        assert row.is_routed
        assert row.own_cost is None


class TestMixes:
    def single(self, title: str, right: float, cost: float) -> Single:
        return Single(title, right, cost, np.full(5, right), np.full(5, cost))

    def test_at_a_cost_and_at_an_accuracy_are_the_same_line(self) -> None:
        singles = [self.single("cheap", 0.4, 1.0), self.single("dear", 0.8, 5.0), self.single("bad", 0.3, 3.0)]
        as_dear, as_good = most_accurate_mix(singles, cost=2.0), cheapest_mix(singles, right=0.5)
        assert as_dear is not None
        assert as_good is not None
        assert as_dear.right == pytest.approx(0.5)
        assert as_good.cost == pytest.approx(2.0)
        assert as_dear.name == as_good.name == "75 % cheap, 25 % dear"
        assert [one.title for one in frontier(singles)] == ["cheap", "dear"]

    def test_beyond_what_any_model_does_are_none(self) -> None:
        singles = [self.single("cheap", 0.4, 1.0)]
        assert most_accurate_mix(singles, cost=0.5) is None
        assert cheapest_mix(singles, right=0.9) is None

    def test_leave_a_corner_out_that_a_mix_beats(self) -> None:
        singles = [self.single("a", 0.4, 1.0), self.single("b", 0.45, 3.0), self.single("c", 0.8, 5.0)]
        assert [one.title for one in frontier(singles)] == ["a", "c"]

    @pytest.mark.slow
    def test_of_a_policy_that_is_better_gain_and_save(self, found: Run) -> None:
        row = report(found).row("nearest")
        assert row.gain is not None
        assert row.equal_saving is not None
        assert row.gain.low > 0
        assert row.equal_saving.low > 0
        assert row.mixture_cost == 10.0  # only the dear model is always right
        assert row.mixture_cost_of == "dear"


class TestMissing:
    def test_figures_are_null_in_json_and_never_nan(self) -> None:
        whole = table()
        whole.scores[1:, 0] = np.nan  # the bad model is judged on one prompt only
        text = json.dumps(report(run(whole, approaches=[], split_count=2)).as_json(), allow_nan=False)
        rows = {row["title"]: row for row in json.loads(text)["rows"]}
        assert rows["bad"]["accuracy"]["value"] is None
        assert rows["dear"]["accuracy"]["value"] == 1.0


class TestCalibration:
    def test_of_true_probabilities_has_no_error(self) -> None:
        calibration = Calibration()
        calibration.add(np.full((1000, 1), 0.75), (np.arange(1000) % 4 > 0).astype(float)[:, None])
        assert calibration.expected_error == pytest.approx(0.0)

    def test_weighs_the_gap_of_each_bin(self) -> None:
        calibration = Calibration()
        calibration.add(np.array([[0.95, 0.15, np.nan]]), np.array([[0.0, 0.0, 1.0]]))
        assert calibration.expected_error == pytest.approx((0.95 + 0.15) / 2)


def test_steadiness_counts_only_what_is_known_of_both_choices() -> None:
    steady = Steadiness()
    right, costs = np.array([[1.0, 0.0], [1.0, np.nan]]), np.ones((2, 2))
    before, after = (worth_of(Choices(np.array([column, column])), right, costs) for column in (0, 1))
    steady.add(np.array([False, False]), before=before, after=after)
    assert (steady.prompt_count, steady.unchanged, steady.right_before, steady.right) == (1, 0, 1.0, 0.0)


class TestWritten:
    TEXT = "Natalia sold forty clips. How many clips did she sell? 12 + 7"

    def test_typos_are_one_a_sentence(self) -> None:
        changed = with_typos(self.TEXT, seed=1)
        assert changed != self.TEXT
        assert abs(len(changed) - len(self.TEXT)) <= 2
        assert changed.endswith("12 + 7")  # without a word of four letters there is none to miss

    def test_typos_are_the_same_for_the_same_seed(self) -> None:
        assert with_typos(self.TEXT, seed=1) == with_typos(self.TEXT, seed=1) != with_typos(self.TEXT, seed=2)

    def test_typos_leave_an_empty_text(self) -> None:
        assert with_typos("", seed=0) == ""

    def test_another_framing_keeps_the_whole_text(self) -> None:
        assert self.TEXT in reworded(self.TEXT, seed=0) != self.TEXT
        assert "{x}" in reworded("Write {x}", seed=0)
