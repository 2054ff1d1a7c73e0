import pytest

from router.terms import Scope, Terms, read_names, unknown_names
from router.wires.fields import WireError


class TestTerms:
    def test_without_a_word_allow_everything(self) -> None:
        terms = Terms(1)
        terms.require_scope(Scope.GENERATE)
        terms.require_model("large")
        assert not terms.is_limited

    def test_open_only_their_scopes(self) -> None:
        terms = Terms(1, scopes=frozenset({"embed"}))
        terms.require_scope(Scope.EMBED)
        with pytest.raises(WireError, match="has the scopes embed") as refused:
            terms.require_scope(Scope.GENERATE)
        assert (refused.value.status, refused.value.kind, refused.value.code) == (
            403, "permission_error", "scope_missing",
        )  # fmt: skip

    @pytest.mark.parametrize("model", ["small", "small:latest"])
    def test_allow_a_model_with_and_without_latest(self, model: str) -> None:
        Terms(1, models=frozenset({"small"})).require_model(model)
        Terms(1, models=frozenset({"small:latest"})).require_model(model)

    def test_refuse_another_model_by_name(self) -> None:
        with pytest.raises(WireError, match="'large', only small") as refused:
            Terms(1, models=frozenset({"small"})).require_model("large")
        assert (refused.value.status, refused.value.code, refused.value.param) == (403, "model_not_allowed", "model")


class TestNames:
    def test_are_read_from_lines_and_commas_each_once(self) -> None:
        assert read_names(" small, large\n\nsmall\r\nlarge:7b ,") == ["small", "large", "large:7b"]

    def test_that_nothing_is_called_are_told(self) -> None:
        assert unknown_names(["small", "large:latest", "smal"], ["small:latest", "large"]) == ["smal"]
