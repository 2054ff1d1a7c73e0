"""Which OpenAI-compatible servers there are, and which generation parameters each of them really obeys.

Such a server ignores a field it does not know, at most with a line in its log, so a study would believe that it
measured something it did not. The lists are those of llama.cpp's `tools/server/README.md` (and of what its
`/props` names), of vLLM's `ChatCompletionRequest`, of LM Studio's "Supported payload parameters", and the OpenAI
document for every other server; read in November 2026.
"""

from collections.abc import Mapping
from enum import Enum

from benchmarks.inference.base import GenerationParameters, ParameterValue
from benchmarks.inference.errors import RequestRefused, UnsupportedParameter


class Flavour(Enum):
    """Which server speaks the OpenAI wire; the value is its name, with which its version begins."""

    LLAMA_CPP = "llama.cpp"
    VLLM = "vLLM"
    LM_STUDIO = "LM Studio"
    OTHER = "OpenAI-compatible server"


_OF_THE_WIRE = frozenset(
    {"frequency_penalty", "max_tokens", "presence_penalty", "seed", "stop", "temperature", "top_p"}
)

PARAMETERS: Mapping[Flavour, frozenset[str]] = {
    Flavour.LLAMA_CPP: _OF_THE_WIRE
    | {
        "cache_prompt",
        "dry_allowed_length",
        "dry_base",
        "dry_multiplier",
        "dry_penalty_last_n",
        "dynatemp_exponent",
        "dynatemp_range",
        "ignore_eos",
        "min_keep",
        "min_p",
        "mirostat",
        "mirostat_eta",
        "mirostat_tau",
        "repeat_last_n",
        "repeat_penalty",
        "top_k",
        "top_logprobs",
        "top_n_sigma",
        "typical_p",
        "xtc_probability",
        "xtc_threshold",
    },
    Flavour.VLLM: _OF_THE_WIRE
    | {"ignore_eos", "length_penalty", "min_p", "min_tokens", "repetition_penalty", "top_k"}
    | {"top_logprobs"},
    Flavour.LM_STUDIO: _OF_THE_WIRE | {"repeat_penalty", "top_k"},
    Flavour.OTHER: _OF_THE_WIRE | {"top_logprobs"},
}

_NO_REPEAT_PENALTY = 1.0
# llama.cpp keeps the seed in 32 bits and takes the highest for "any": seed 2^32 + 1 was seen to answer as seed 1.
_HIGHEST_LLAMA_CPP_SEED = 2**32 - 2
_CONTEXT_REMEDY = "The context is set where the server starts; leave num_ctx to the server."


def flavour_of(version: str | None) -> Flavour | None:
    """Tell the flavour from a version as `OpenAIClient.health` gives it; None for no version."""
    return next((flavour for flavour in Flavour if version and version.startswith(flavour.value)), None)


def wire_parameters(parameters: GenerationParameters, flavour: Flavour) -> dict[str, ParameterValue | list[str]]:
    """Give the parameters as fields of a request to such a server: what is None or empty is left out.

    Raises `UnsupportedParameter` with every name that the server would ignore, and for a `num_ctx`, which no such
    server takes from a request; `RequestRefused` for a seed that it would replace by another.
    """
    fields = _fields(parameters, flavour)
    if parameters.num_ctx is not None:
        raise UnsupportedParameter(["num_ctx"], f"A request to {flavour.value}", remedy=_CONTEXT_REMEDY)
    if refused := fields.keys() - PARAMETERS[flavour]:
        raise UnsupportedParameter(refused, flavour.value)
    seed = parameters.seed
    if flavour is Flavour.LLAMA_CPP and seed is not None and not 0 <= seed <= _HIGHEST_LLAMA_CPP_SEED:
        raise RequestRefused(
            f"llama.cpp would replace the seed {seed} by another. Choose one from 0 to {_HIGHEST_LLAMA_CPP_SEED}.",
            status=None,
        )
    return fields


def require_some_flavour(parameters: GenerationParameters, version: str | None) -> None:
    """Refuse parameters that a server of this version, or any server where none is known, would ignore.

    Raises `UnsupportedParameter` and `RequestRefused` as `wire_parameters` does.
    """
    known = flavour_of(version)
    if known is not None:
        wire_parameters(parameters, known)
        return
    refusals: list[RequestRefused] = []
    for flavour in Flavour:
        try:
            wire_parameters(parameters, flavour)
        except RequestRefused as refusal:
            refusals.append(refusal)
    if len(refusals) == len(Flavour):
        raise refusals[0]


def _fields(parameters: GenerationParameters, flavour: Flavour) -> dict[str, ParameterValue | list[str]]:
    """Give the fields by wire name.

    Only the neutral repeat penalty has another name on vLLM: with any other value the two differ, because
    llama.cpp looks at the latest tokens and vLLM at all of them.
    """
    named: dict[str, ParameterValue | list[str] | None] = {
        "seed": parameters.seed,
        "temperature": parameters.temperature,
        "max_tokens": parameters.num_predict,
        "top_p": parameters.top_p,
        "top_k": parameters.top_k,
        "stop": list(parameters.stop) or None,
    }
    extras = dict(parameters.extras)
    if flavour is Flavour.VLLM and extras.get("repeat_penalty") == _NO_REPEAT_PENALTY:
        extras["repetition_penalty"] = extras.pop("repeat_penalty")
    if repeated := (named.keys() | {"num_predict", "num_ctx"}) & extras.keys():
        raise UnsupportedParameter(repeated, "The mapping of extra parameters")
    return {name: value for name, value in {**named, **extras}.items() if value is not None}
