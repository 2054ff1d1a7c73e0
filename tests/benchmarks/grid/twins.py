"""What the tests of the live services share."""

from typing import Any

from benchmarks.grid.scripted import GridScript
from tests.factories import NOW

KEY = "a-key"


def script(**facts: Any) -> GridScript:
    values: dict[str, Any] = {"intensities": {"DE": 310.5, "GB": 120, "13": 95, "16": 40}, "clock": lambda: NOW}
    return GridScript(**{**values, "key": KEY, **facts})
