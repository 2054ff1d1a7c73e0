import json
from argparse import Namespace
from pathlib import Path

import pytest

from tests.bench.lighthouse import _is_met, scores_of, shortcomings


def visit(performance: float, accessibility: float, practices: float) -> dict:
    scores = {"performance": performance, "accessibility": accessibility, "best-practices": practices}
    return {"categories": {name: {"score": score} for name, score in scores.items()}}


class TestScoresOf:
    def test_are_those_of_a_single_visit(self) -> None:
        assert scores_of([visit(0.91, 1, 0.96)]) == [91, 100, 96]

    def test_have_the_median_of_performance_and_the_least_of_all_else(self) -> None:
        assert scores_of([visit(0.5, 1, 0.96), visit(0.97, 0.9, 1), visit(0.93, 1, 1)]) == [93, 90, 96]

    def test_are_nothing_where_lighthouse_gives_none(self) -> None:
        assert scores_of([{"categories": visit(1, 1, 1)["categories"] | {"performance": {"score": None}}}])[0] == 0


def test_shortcomings_name_what_cost_points_and_nothing_else() -> None:
    audits = {
        "contrast": {"title": "Contrast", "score": 0, "details": {"items": [{"node": {"snippet": "<p>"}}]}},
        "title": {"title": "Title", "score": 1},
        "told-only": {"title": "Told only", "score": 0},
        "does-not-apply": {"title": "Does not apply", "score": None},
    }
    weighed = [{"id": name, "weight": 0 if name == "told-only" else 7} for name in audits]
    report = {"categories": {"accessibility": {"auditRefs": weighed}}, "audits": audits}
    assert shortcomings(report) == ["contrast: Contrast  <p>"]


FAILING = """
if [ "$(cat {count} | wc -c)" -lt {times} ]; then echo -n x >> {count}; echo "no page" >&2; exit 1; fi
echo '{report}'
"""


class TestVisit:
    @pytest.mark.parametrize(
        ("times", "told"), [(2, "99    100    100  ok"), (3, "MISSED: no page")], ids=["twice", "always"]
    )
    def test_is_tried_again_where_lighthouse_fails(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], times: int, told: str
    ) -> None:
        count, report = tmp_path / "count", visit(0.99, 1, 1) | {"audits": {}}
        count.touch()
        categories = {name: one | {"auditRefs": []} for name, one in report["categories"].items()}
        script = FAILING.format(count=count, times=times, report=json.dumps(report | {"categories": categories}))
        options = Namespace(lighthouse=["bash", "-c", script, "lighthouse"], url="http://127.0.0.1:1")
        assert _is_met(options, "/a-page", 1, 95) is (times < 3)
        assert told in capsys.readouterr().out
