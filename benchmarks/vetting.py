"""Try a model before it is measured: does its server answer and list it, what does it take, does it say anything."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.inference.base import (
    ChatMessage,
    GenerationParameters,
    GenerationRequest,
    InferenceClient,
)
from benchmarks.inference.connecting import require_parameters

_SMOKE_PROMPT = "Answer with one word: which colour has the sky on a clear day?"
_SMOKE_TOKENS = 16
_STOP_TOKENS = 256  # an answer of one word that has not ended by then does not end by itself
_SHOWN_CHARACTERS = 200
_LATEST = ":latest"  # an Ollama lists it, and may be asked without it


class Unfit(RuntimeError):
    """The model cannot be measured as it is; the message says why and what to do."""


@dataclass(frozen=True)
class Findings:
    """What trying a model told: texts are empty and figures None where the server does not tell."""

    version: str
    context_length: int | None
    seconds: float
    answer: str
    stops_by_itself: bool | None  # None: not tried
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return them for storing."""
        return asdict(self)


def vet(
    *,
    name: str,
    kind: str,
    client: InferenceClient,
    parameters: GenerationParameters,
    is_stop_tested: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> Findings:
    """Probe a server of a kind and smoke-test one of its models; one short generation, which loads the model.

    `parameters` are those that it will be measured with: a server that does not know one of them is found out here.

    Raises:
        Unfit: the model is not listed, takes too little context, says nothing, or does not end by itself.
        UnsupportedParameter, RequestRefused: the server does not know a parameter, or would replace the seed.
        InferenceError: the server cannot be asked.
    """
    version = client.health().version
    if name.removesuffix(_LATEST) not in {one.name.removesuffix(_LATEST) for one in client.list_models()}:
        raise Unfit(f"The server answers but does not list {name!r} any more. Pull or load it there, then try again.")
    context_length = client.describe(name).context_length
    require_parameters(kind, parameters, version)
    wanted = parameters.num_predict or 0
    if context_length is not None and context_length <= wanted:
        raise Unfit(
            f"The model takes {context_length} tokens, and an answer alone may have {wanted}. Serve it with a larger "
            f"context, or measure it by a study with a smaller num_predict."
        )
    began = clock()
    length = _STOP_TOKENS if is_stop_tested else _SMOKE_TOKENS
    asked = GenerationParameters(
        seed=parameters.seed, temperature=0.0, num_ctx=parameters.num_ctx, num_predict=length
    )  # the same context as in the study, so that it is loaded once
    said = client.generate(GenerationRequest(name, (ChatMessage("user", _SMOKE_PROMPT),), asked))
    seconds = clock() - began
    text = said.text.strip() or (said.thinking or "").strip()
    if not text:
        raise Unfit(f"{name} answered nothing to a short prompt. Look at its chat template on the server; try again.")
    stops = _has_stopped(said.done_reason, said.output_token_count, length) if is_stop_tested else None
    if stops is False:
        raise Unfit(
            f"Asked for one word, {name} went on for {length} tokens without an end. Look at the end-of-text token "
            f"and the chat template on its server, or evaluate it without that test."
        )
    return Findings(
        version, context_length, seconds, text[:_SHOWN_CHARACTERS], stops, _notes(context_length, parameters)
    )


def _has_stopped(done_reason: str | None, token_count: int | None, limit: int) -> bool:
    if done_reason is not None:
        return done_reason != "length"
    return token_count is None or token_count < limit


def _notes(context_length: int | None, parameters: GenerationParameters) -> tuple[str, ...]:
    wanted = parameters.num_ctx
    if context_length is not None and wanted is not None and context_length < wanted:
        return (f"It takes {context_length} tokens, less than the {wanted} that it will be asked with.",)
    return ()
