import pytest

from benchmarks.inference.base import GenerationParameters, UnsupportedParameter
from benchmarks.inference.options import options_that_depend_on_version, require_supported, wire_options


class TestWireOptions:
    def test_leaves_out_what_the_server_shall_choose(self) -> None:
        assert wire_options(GenerationParameters()) == {}

    def test_keeps_zeros_which_are_choices(self) -> None:
        assert wire_options(GenerationParameters(seed=0, temperature=0.0)) == {"seed": 0, "temperature": 0.0}

    def test_adds_the_extras(self) -> None:
        parameters = GenerationParameters(top_k=5, stop=("\n",), extras={"min_p": 0.1})

        assert wire_options(parameters) == {"top_k": 5, "stop": ("\n",), "min_p": 0.1}

    def test_refuses_an_extra_that_has_a_field_of_its_own(self) -> None:
        with pytest.raises(UnsupportedParameter, match="seed"):
            wire_options(GenerationParameters(seed=1, extras={"seed": 2}))


class TestRequireSupported:
    @pytest.mark.parametrize(
        ("option", "version"),
        [
            pytest.param("min_p", None, id="every version has it"),
            pytest.param("mirostat", "0.6.5", id="not yet removed"),
            pytest.param("mirostat", "0.6.8", id="the last one that has it"),
            pytest.param("mirostat", "v0.6.8-rc2", id="a release candidate"),
            pytest.param("tfs_z", "0.5.1", id="an old server"),
            pytest.param("penalize_newline", "0.5.4", id="another old server"),
        ],
    )
    def test_lets_pass(self, option: str, version: str | None) -> None:
        require_supported({option: 1}, version)

    @pytest.mark.parametrize(
        ("option", "version"),
        [
            pytest.param("mirostat", "0.7.0", id="removed"),
            pytest.param("mirostat", "0.17.4", id="versions are numbers, not texts"),
            pytest.param("mirostat", "0.0.0", id="a build without a version"),
            pytest.param("mirostat", "0.0.0-embedded", id="no release of Ollama"),
            pytest.param("mirostat", None, id="a version nobody knows"),
            pytest.param("tfs_z", "0.6.5", id="removed earlier"),
            pytest.param("f16_kv", "0.5.1", id="ignored by every version"),
            pytest.param("temprature", "0.6.5", id="misspelled"),
        ],
    )
    def test_refuses(self, option: str, version: str | None) -> None:
        with pytest.raises(UnsupportedParameter, match=option):
            require_supported({option: 1, "seed": 1}, version)

    def test_names_every_refused_option(self) -> None:
        with pytest.raises(UnsupportedParameter) as caught:
            require_supported({"tfs_z": 1.0, "best_of": 2, "seed": 1}, "0.17.4")

        assert caught.value.names == ("best_of", "tfs_z")
        assert caught.value.status is None


def test_asks_for_the_version_only_where_it_matters() -> None:
    assert options_that_depend_on_version({"mirostat": 1})
    assert not options_that_depend_on_version({"seed": 1, "unheard_of": 1})
