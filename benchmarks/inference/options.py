"""Which generation options an Ollama server really has.

A real server ignores an option it does not know and only writes a line to its log, so a study would believe
that it measured something it did not. The lists are the fields of `Options` and `Runner` in Ollama's
`api/types.go`, read at 0.5.1, 0.5.3, 0.5.4, 0.5.5, 0.6.5, 0.6.8, 0.7.0 and 0.17.4.
"""

import re
from collections.abc import Mapping

from benchmarks.inference.base import GenerationParameters, ParameterValue
from benchmarks.inference.errors import UnsupportedParameter
from benchmarks.inference.margins import TOP_LOGPROBS

Version = tuple[int, int, int]

OPTIONS_OF_EVERY_VERSION = frozenset(
    {
        "frequency_penalty",
        "main_gpu",
        "min_p",
        "num_batch",
        "num_ctx",
        "num_gpu",
        "num_keep",
        "num_predict",
        "num_thread",
        "presence_penalty",
        "repeat_last_n",
        "repeat_penalty",
        "seed",
        "stop",
        "temperature",
        "top_k",
        "top_p",
        "typical_p",
        "use_mmap",
    }
)

# The latest version that was seen to have the option. f16_kv is left out: the source says it is ignored.
LATEST_VERSION_WITH_OPTION: Mapping[str, Version] = {
    "tfs_z": (0, 5, 1),
    "penalize_newline": (0, 5, 4),
    "mirostat": (0, 6, 8),
    "mirostat_eta": (0, 6, 8),
    "mirostat_tau": (0, 6, 8),
    "low_vram": (0, 6, 8),
    "logits_all": (0, 6, 8),
    "use_mlock": (0, 6, 8),
    "vocab_only": (0, 6, 8),
}

# The first version that has the field; it stands beside the options in a request.
FIRST_VERSION_WITH_OPTION: Mapping[str, Version] = {TOP_LOGPROBS: (0, 12, 11)}

_RELEASE = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?:-rc\d+)?$")
_UNSTAMPED_BUILD: Version = (0, 0, 0)


def wire_options(parameters: GenerationParameters) -> dict[str, ParameterValue]:
    """Give the parameters as Ollama options: what is None or empty is left out.

    Raises `UnsupportedParameter` when an extra repeats a parameter that has a field of its own.
    """
    named: dict[str, ParameterValue | None] = {
        "seed": parameters.seed,
        "temperature": parameters.temperature,
        "num_ctx": parameters.num_ctx,
        "num_predict": parameters.num_predict,
        "top_p": parameters.top_p,
        "top_k": parameters.top_k,
        "stop": parameters.stop or None,
    }
    if repeated := named.keys() & parameters.extras.keys():
        raise UnsupportedParameter(repeated, "The mapping of extra options")
    return {name: value for name, value in {**named, **parameters.extras}.items() if value is not None}


def options_that_depend_on_version(names: Mapping[str, ParameterValue]) -> bool:
    """Say whether the server's version must be known to judge these options."""
    return any(name in LATEST_VERSION_WITH_OPTION or name in FIRST_VERSION_WITH_OPTION for name in names)


def require_supported(options: Mapping[str, ParameterValue], version: str | None) -> None:
    """Refuse options that a server of this version does not have.

    A version that is no release number (a build from source says 0.0.0) counts as one of today, as does None.

    Raises `UnsupportedParameter` with every refused name.
    """
    release = _parse_release(version)
    refused = {
        name
        for name in options
        if name not in OPTIONS_OF_EVERY_VERSION
        and not (release is not None and release <= LATEST_VERSION_WITH_OPTION.get(name, _UNSTAMPED_BUILD))
        and not (name in FIRST_VERSION_WITH_OPTION and (release is None or release >= FIRST_VERSION_WITH_OPTION[name]))
    }
    if refused:
        raise UnsupportedParameter(refused, f"Ollama {version}" if version else "Ollama")


def gives_margins(version: str | None) -> bool:
    """Say whether a server of this version tells log probabilities; a build that says no release is one of today."""
    release = _parse_release(version)
    return release is None or release >= FIRST_VERSION_WITH_OPTION[TOP_LOGPROBS]


def without_margins(options: Mapping[str, ParameterValue]) -> dict[str, ParameterValue]:
    """Give the options that stand among the options of a request."""
    return {name: value for name, value in options.items() if name not in FIRST_VERSION_WITH_OPTION}


def _parse_release(version: str | None) -> Version | None:
    found = _RELEASE.match(version or "")
    if found is None:
        return None
    release = (int(found[1]), int(found[2]), int(found[3]))
    return None if release == _UNSTAMPED_BUILD else release
