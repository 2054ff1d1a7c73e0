import pytest

from greenllm.running import REPLACED_BY, needed_services


class TestNeededServices:
    @pytest.fixture(autouse=True)
    def _unset(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for variable in REPLACED_BY.values():
            monkeypatch.delenv(variable, raising=False)

    def test_are_all_where_nothing_replaces_them(self) -> None:
        assert needed_services() == ["postgres", "valkey", "chroma", "llm"]

    @pytest.mark.parametrize(("service", "variable"), list(REPLACED_BY.items()))
    def test_leave_out_what_a_variable_replaces(
        self, monkeypatch: pytest.MonkeyPatch, service: str, variable: str
    ) -> None:
        monkeypatch.setenv(variable, "an address")
        assert needed_services() == [name for name in REPLACED_BY if name != service]

    def test_keep_what_an_empty_variable_does_not_replace(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OLLAMA_HOST", "")
        assert "llm" in needed_services()
