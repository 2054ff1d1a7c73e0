"""What a reader may ask of a report's what-if."""

import pytest

from greenllm.reports.what_if import Assumptions, asked_for

STORED = Assumptions(intensity=381.0, lifespan=4.0, embodied=6200.0)


class TestAskedFor:
    def test_takes_back_what_the_study_itself_has(self) -> None:
        asked, fields = asked_for({"intensity": "381", "lifespan": "4", "embodied": "6200"}, STORED)
        assert asked == STORED
        assert [field.error for field in fields] == ["", "", ""]

    @pytest.mark.parametrize(("text", "bound"), [("6201", "0 to 6200"), ("-1", "0 to 6200"), ("many", "0 to 6200")])
    def test_keeps_to_the_bounds_that_it_names(self, text: str, bound: str) -> None:
        asked, fields = asked_for({"embodied": text}, STORED)
        assert asked == STORED
        assert fields[2].error == f"Embodied total (kgCO2e): {text!r} is no number from {bound}."
