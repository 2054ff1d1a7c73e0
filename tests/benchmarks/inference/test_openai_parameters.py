import pytest

from benchmarks.inference.base import GenerationParameters, RequestRefused, UnsupportedParameter
from benchmarks.inference.openai_parameters import Flavour, flavour_of, require_some_flavour, wire_parameters


class TestWireParameters:
    @pytest.mark.parametrize("flavour", Flavour)
    def test_are_few_enough_for_every_server(self, flavour: Flavour) -> None:
        parameters = GenerationParameters(seed=0, temperature=0.0, num_predict=5, top_p=0.5, stop=("\n",))

        assert wire_parameters(parameters, flavour) == {
            "seed": 0,
            "temperature": 0.0,
            "max_tokens": 5,
            "top_p": 0.5,
            "stop": ["\n"],
        }

    def test_leave_out_what_the_server_shall_choose(self) -> None:
        assert wire_parameters(GenerationParameters(), Flavour.VLLM) == {}

    @pytest.mark.parametrize("flavour", Flavour)
    def test_refuse_a_context_which_no_request_can_set(self, flavour: Flavour) -> None:
        with pytest.raises(UnsupportedParameter, match="where the server starts") as caught:
            wire_parameters(GenerationParameters(num_ctx=2048), flavour)
        assert caught.value.names == ("num_ctx",)

    @pytest.mark.parametrize(
        ("flavour", "name"),
        [
            (Flavour.LLAMA_CPP, "repetition_penalty"),
            (Flavour.LLAMA_CPP, "tfs_z"),
            (Flavour.VLLM, "mirostat"),
            (Flavour.LM_STUDIO, "min_p"),
            (Flavour.OTHER, "top_k"),
            (Flavour.OTHER, "temprature"),
        ],
    )
    def test_refuse_what_the_server_would_ignore(self, flavour: Flavour, name: str) -> None:
        with pytest.raises(UnsupportedParameter) as caught:
            wire_parameters(GenerationParameters(extras={name: 1}), flavour)
        assert caught.value.names == (name,)

    def test_refuse_an_extra_that_has_a_field_of_its_own(self) -> None:
        with pytest.raises(UnsupportedParameter, match="num_predict"):
            wire_parameters(GenerationParameters(extras={"num_predict": 5}), Flavour.LLAMA_CPP)

    def test_know_the_neutral_repeat_penalty_of_vllm_by_its_name(self) -> None:
        parameters = GenerationParameters(extras={"repeat_penalty": 1.0})

        assert wire_parameters(parameters, Flavour.VLLM) == {"repetition_penalty": 1.0}
        assert wire_parameters(parameters, Flavour.LLAMA_CPP) == {"repeat_penalty": 1.0}

    def test_do_not_take_another_repeat_penalty_for_that_of_vllm(self) -> None:
        with pytest.raises(UnsupportedParameter, match="repeat_penalty"):
            wire_parameters(GenerationParameters(extras={"repeat_penalty": 1.1}), Flavour.VLLM)

    @pytest.mark.parametrize("seed", [-1, 2**32 - 1, 2**32 + 1])
    def test_refuse_a_seed_that_llama_cpp_would_replace(self, seed: int) -> None:
        with pytest.raises(RequestRefused, match=str(seed)):
            wire_parameters(GenerationParameters(seed=seed), Flavour.LLAMA_CPP)
        assert wire_parameters(GenerationParameters(seed=seed), Flavour.VLLM) == {"seed": seed}


class TestFlavourOf:
    @pytest.mark.parametrize("flavour", Flavour)
    def test_reads_the_version_that_health_gives(self, flavour: Flavour) -> None:
        assert flavour_of(f"{flavour.value} b1234") is flavour

    @pytest.mark.parametrize("version", [None, "", "0.6.5"])
    def test_knows_nothing_of_other_versions(self, version: str | None) -> None:
        assert flavour_of(version) is None


class TestRequireSomeFlavour:
    def test_obeys_the_version(self) -> None:
        parameters = GenerationParameters(extras={"mirostat": 1})

        require_some_flavour(parameters, "llama.cpp b1")
        with pytest.raises(UnsupportedParameter, match="mirostat"):
            require_some_flavour(parameters, "vLLM 0.9.1")

    def test_without_a_version_refuses_only_what_no_server_has(self) -> None:
        require_some_flavour(GenerationParameters(extras={"mirostat": 1}), None)
        with pytest.raises(UnsupportedParameter, match="tfs_z"):
            require_some_flavour(GenerationParameters(extras={"tfs_z": 1}), None)
