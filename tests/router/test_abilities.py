"""Which models may answer a request that needs more than text."""

import pytest

from benchmarks.inference.demands import TOOL_CHOICE, TOOLS
from router.abilities import required, unable_of

NAMES = {1: "ollama", 2: "vllm", 3: "plain"}
OLLAMA, SILENT, PLAIN = {TOOLS: True, TOOL_CHOICE: False}, {}, {TOOLS: False, TOOL_CHOICE: False}
FORCED = {TOOLS: "tools", TOOL_CHOICE: "tool_choice"}


class TestForcedChoice:
    @pytest.mark.parametrize(
        ("told", "able"),
        [
            pytest.param({1: OLLAMA, 2: {TOOLS: True, TOOL_CHOICE: True}, 3: PLAIN}, ("vllm",), id="one knows it"),
            pytest.param({1: OLLAMA, 2: SILENT, 3: PLAIN}, ("vllm",), id="one may know it"),
            pytest.param({1: OLLAMA, 3: PLAIN}, ("ollama",), id="nobody knows it"),
            pytest.param({3: PLAIN}, (), id="nobody calls tools"),
        ],
    )
    def test_goes_where_it_can_be_said_before_it_goes_to_others(
        self, told: dict[int, dict[str, bool]], able: object
    ) -> None:
        found = unable_of(FORCED, told, NAMES)
        assert found.able == able
        assert set(found.reasons) == {key for key in told if NAMES[key] not in found.able}

    def test_where_nobody_calls_tools_is_refused_for_the_tools(self) -> None:
        found = unable_of(FORCED, {3: PLAIN}, NAMES)
        assert found.reasons == {3: "It cannot call tools."}
        assert found.refusal().param == "tools"

    def test_is_not_required_of_a_named_model(self) -> None:
        assert required(FORCED) == {TOOLS: "tools"}
