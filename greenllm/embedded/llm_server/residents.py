"""Which models are in memory, and until when."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from greenllm.embedded.llm_server.engine import Completion, Engine
from greenllm.embedded.llm_server.facts import ModelFacts
from greenllm.embedded.llm_server.library import Model
from greenllm.embedded.llm_server.options import DEFAULT_CONTEXT, LoadOptions
from greenllm.embedded.llm_server.orders import GenerationOrder
from greenllm.embedded.llm_server.refusals import RequestRefusedError

MOST_RESIDENTS = 4  # each of the small models takes about 250 MB


class LoadedModel(Protocol):
    """What a model in memory can do; `Engine` is the real one."""

    def generate(
        self, order: GenerationOrder, on_text: Callable[[str], None], is_cancelled: Callable[[], bool]
    ) -> Completion: ...

    def embed(self, text: str, *, truncates: bool) -> tuple[list[float], int]: ...


class EngineOpener(Protocol):
    """Loads a model; `Engine` itself is the real one."""

    def __call__(self, path: Path, facts: ModelFacts, *, context: int, threads: int) -> LoadedModel: ...


@dataclass(frozen=True)
class Resident:
    """A model in memory; `expires_at` None means that it stays for good."""

    model: Model
    context: int
    threads: int
    engine: LoadedModel
    used_at: datetime
    expires_at: datetime | None


class Residents:
    """The models in memory. Only one thread at a time may change them; `listed` may be read at any time."""

    def __init__(
        self,
        now: Callable[[], datetime],
        open_engine: EngineOpener = Engine,
        default_threads: int = 1,
        embedder_threads: int | None = None,
    ) -> None:
        self._now = now
        self._open_engine = open_engine
        self._default_threads = default_threads
        self._embedder_threads = embedder_threads or default_threads
        self._loaded: dict[str, Resident] = {}

    def listed(self) -> list[Resident]:
        """Return what is loaded, the latest used first."""
        return sorted(self._loaded.values(), key=lambda resident: resident.used_at, reverse=True)

    def get(self, model: Model, options: LoadOptions) -> LoadedModel:
        """Return the model in memory, loading it when it is not there, has changed, or has another context.

        Raises:
            RequestRefusedError: `options.context` is larger than the model's own.
            ModelUnusableError: the model cannot be loaded.
        """
        context = options.context or min(DEFAULT_CONTEXT, model.facts.context_length)
        if context > model.facts.context_length:
            raise RequestRefusedError(
                f"num_ctx {context} is more than the {model.facts.context_length} tokens that '{model.name}' can take"
            )
        usual = self._embedder_threads if model.facts.is_embedder else self._default_threads
        threads = options.threads or usual
        found = self._loaded.get(model.name)
        if found and (found.model, found.context, found.threads) == (model, context, threads):
            return found.engine
        self.unload(model.name)
        del found  # the engine gives its memory back before the next one asks for as much
        self._make_room()
        engine = self._open_engine(model.path, model.facts, context=context, threads=threads)
        self._loaded[model.name] = Resident(model, context, threads, engine, self._now(), None)
        return engine

    def keep(self, name: str, keep_alive: timedelta | None) -> None:
        """Note that a model was used just now and may go after `keep_alive` (None: never); zero unloads it."""
        found = self._loaded.get(name)
        if found is None:
            return
        if keep_alive == timedelta(0):
            self.unload(name)
            return
        now = self._now()
        expires_at = None if keep_alive is None else now + keep_alive
        self._loaded[name] = Resident(found.model, found.context, found.threads, found.engine, now, expires_at)

    def unload(self, name: str) -> None:
        """Drop a model from memory; harmless when it is not there."""
        self._loaded.pop(name, None)

    def drop_expired(self) -> None:
        """Unload the models whose time is over."""
        now = self._now()
        for resident in self.listed():
            if resident.expires_at is not None and resident.expires_at <= now:
                self.unload(resident.model.name)

    def _make_room(self) -> None:
        while len(self._loaded) >= MOST_RESIDENTS:
            self.unload(self.listed()[-1].model.name)


def default_threads() -> int:
    """Return how many threads generate: GREENLLM_LLM_THREADS, else one, or half the cores from four on.

    llama.cpp's threads wait for each other by spinning, so that on two cores any other busy process makes two
    threads slower than one.

    Raises:
        ValueError: the variable is no whole number from 1 to the number of cores.
    """
    cores = os.cpu_count() or 1
    given = os.environ.get("GREENLLM_LLM_THREADS")
    if not given:
        return max(1, cores // 2)
    if not given.isdecimal() or not 1 <= int(given) <= cores:
        raise ValueError(f"GREENLLM_LLM_THREADS={given!r} must be a whole number from 1 to {cores}.")
    return int(given)


def embedder_threads() -> int:
    """Return how many threads embed: GREENLLM_LLM_THREADS, else two where there are as many cores.

    A text is read in one piece, so that the threads seldom wait for each other: two take half the time of one on idle
    cores and on busy ones, and the vectors are the same.

    Raises:
        ValueError: as `default_threads`.
    """
    return (
        default_threads()
        if os.environ.get("GREENLLM_LLM_THREADS")
        else max(default_threads(), min(2, os.cpu_count() or 1))
    )
