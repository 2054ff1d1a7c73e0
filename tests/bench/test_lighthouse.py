from tests.bench.lighthouse import scores_of, shortcomings


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
