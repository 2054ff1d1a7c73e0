import json

import pytest

from router.policy import Evidence
from router.steps import Step, charged_sci_gco2e, priced, steps_as_json, steps_from_json


def step(sci: float | None, quality: str = "measured", *, deployment: int = 1) -> Step:
    return Step("req_1", 1, deployment, "small", "person", "not good enough", sci, quality)


class TestCharge:
    @pytest.mark.parametrize(
        ("steps", "charged"),
        [
            pytest.param([], None, id="nothing was refused"),
            pytest.param([step(0.25)], 0.25, id="one"),
            pytest.param([step(0.25), step(0.5)], 0.75, id="two"),
            pytest.param([step(0.25), step(None)], None, id="one is not known"),
            pytest.param([step(0.25), step(0.5, "estimated")], None, id="of unlike quality"),
        ],
    )
    def test_is_the_sum_of_what_was_refused_or_missing(self, steps: list[Step], charged: float | None) -> None:
        assert charged_sci_gco2e(steps) == charged


class TestPriced:
    def test_fills_in_what_is_known_of_the_model_and_changes_nothing_else(self) -> None:
        evidence = [Evidence(1, "small", 0.5, "estimated", None, 1), Evidence(2, "large", None, "missing", None, 0)]
        unpriced, priced_before, unknown = step(None, "missing"), step(0.25), step(None, "missing", deployment=2)
        found = priced([unpriced, priced_before, unknown], evidence)
        assert [(one.sci_gco2e, one.quality) for one in found] == [
            (0.5, "estimated"), (0.25, "measured"), (None, "missing"),
        ]  # fmt: skip


class TestStored:
    def test_comes_back_as_it_was(self) -> None:
        steps = (step(0.25), step(None))
        assert steps_from_json(json.loads(json.dumps(steps_as_json(steps)))) == steps
