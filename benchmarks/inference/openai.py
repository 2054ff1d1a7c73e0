"""Talk to an OpenAI-compatible server (llama.cpp, vLLM, LM Studio and others) by way of the `openai` package."""

import logging
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

import httpx

from benchmarks.inference.base import (
    ApiKey,
    ChatMessage,
    Embeddings,
    Generation,
    GenerationParameters,
    GenerationRequest,
    LoadResult,
    ModelDescription,
    ServerHealth,
    StreamPiece,
)
from benchmarks.inference.budget import BudgetedTransport, TimeBudget, TimeLimits
from benchmarks.inference.chatting import ChatWire
from benchmarks.inference.errors import ModelMissing, RequestRefused, StreamBroken
from benchmarks.inference.interruption import Interruption
from benchmarks.inference.margins import TOP_LOGPROBS, WANTED
from benchmarks.inference.openai_catalog import (
    Catalog,
    abilities_of,
    completed,
    context_of_slot,
    read_catalog,
    version_of,
)
from benchmarks.inference.openai_chatting import OpenAIChat
from benchmarks.inference.openai_exchange import OpenAIExchange
from benchmarks.inference.openai_parameters import PARAMETERS, Flavour, wire_parameters
from benchmarks.inference.openai_wire import AnswerReader, EmbeddingAnswer, Fields, OpenAIConnection, chat_body
from benchmarks.inference.prompt_length import require_whole_prompt_read, require_words_fit
from benchmarks.inference.questions import (
    checked_base_url,
    checked_embeddings,
    key_headers,
    require_question,
    require_texts,
    whole_answer,
)

Answer = TypeVar("Answer")

logger = logging.getLogger(__name__)

_NOT_FOUND = 404


class OpenAIClient:
    """An `InferenceClient` for one OpenAI-compatible server.

    `base_url` may end in `/v1` or not. Which server it is, is asked once; a model that is not on its list is
    asked for once more, then refused, because llama.cpp answers whatever the name says. The time limits are those
    of `TimeLimits`, in seconds.

    Each call opens a connection of its own, for the reasons of `OllamaClient`.
    """

    def __init__(
        self,
        base_url: str,
        *,
        connect_timeout_s: float = 5.0,
        first_token_timeout_s: float = 120.0,
        total_timeout_s: float = 600.0,
        api_key: ApiKey | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        interruption: Interruption | None = None,
    ) -> None:
        self.base_url = checked_base_url(base_url, example="http://127.0.0.1:8080").removesuffix("/v1")
        self._limits = TimeLimits(connect_timeout_s, first_token_timeout_s, total_timeout_s, clock_ns, interruption)
        self._api_key = api_key
        self._catalog: Catalog | None = None

    def health(self) -> ServerHealth:
        """Ask which server it is and for its version; see `InferenceClient.health`."""

        def question(connection: OpenAIConnection) -> str:
            self._catalog = read_catalog(connection)
            return version_of(connection, self._catalog.flavour)

        return ServerHealth(self._ask(self._exchange(self._limits.of_health()), question))

    def list_models(self) -> list[ModelDescription]:
        """List the models of the server by name; see `InferenceClient.list_models`."""
        models = {model.name: model for model in self._read_catalog().models.values()}
        return sorted(models.values(), key=lambda model: model.name)

    def describe(self, name: str) -> ModelDescription:
        """Tell all about one model, with a trial whether it embeds; see `InferenceClient.describe`."""
        catalog, model = self._find(name)
        exchange = self._exchange(self._limits.of_question(), model=name)
        return self._ask(exchange, lambda connection: completed(connection, catalog, model))

    def abilities(self, name: str) -> Mapping[str, bool]:
        """Tell what a model can beyond text; see `AbleClient.abilities`. Only llama.cpp and LM Studio tell."""
        catalog, model = self._find(name)
        exchange = self._exchange(self._limits.of_question(), model=name)
        return self._ask(exchange, lambda connection: abilities_of(connection, catalog, model))

    def load(self, name: str, parameters: GenerationParameters) -> LoadResult:
        """Generate one token, which needs the model in memory: only some of these servers have a call for it.

        See `InferenceClient.load`; the duration is the client's.
        """
        catalog, model = self._find(name)
        wire_parameters(parameters, catalog.flavour)
        exchange = self._exchange(self._limits.of_work(), model=model.name, activity=f"Loading '{name}'")
        if model.capabilities == ("embedding",):
            self._ask(exchange, lambda connection: _embed(connection, model.name, ["word"]))
        else:
            self._warm_up(exchange, catalog, model.name)
        return LoadResult(duration_ns=exchange.budget.elapsed_ns())

    def generate(self, request: GenerationRequest) -> Generation:
        """Generate one answer, by a stream to time its first token; see `InferenceClient.generate`."""
        return whole_answer(self.stream(request))

    def stream(self, request: GenerationRequest) -> Generator[StreamPiece, None, None]:
        """Generate one answer piece by piece; see `InferenceClient.stream`."""
        fields, context = self._checked(request)
        return self._pieces(request, fields, context)

    def prepare(self, request: GenerationRequest) -> ChatWire:
        """Give an answer's wire without its transport; see `PreparingClient.prepare`."""
        fields, context = self._checked(request)
        exchange = self._exchange_of_answer(request, context)
        headers = key_headers(self._api_key, self.base_url)
        return OpenAIChat(exchange, self.base_url, headers, chat_body(request, fields), request.messages)

    def is_ready_for(self, request: GenerationRequest) -> bool:
        """Say whether `prepare` asks the server nothing; see `PreparingClient.is_ready_for`."""
        catalog = self._catalog
        model = None if catalog is None else catalog.models.get(request.model)
        if catalog is None or model is None:
            return False
        return model.context_length is not None or catalog.flavour is not Flavour.LLAMA_CPP

    def embed(self, name: str, texts: Sequence[str]) -> Embeddings:
        """Turn texts into vectors; see `InferenceClient.embed`."""
        require_texts(texts)
        catalog, model = self._find(name)
        context = self._context_length(catalog, model)
        for text in texts:
            require_words_fit([ChatMessage("user", text)], context)
        exchange = self._exchange(
            self._limits.of_work(), model=name, activity=f"Embedding with '{name}'", context=context
        )
        answer = self._ask(exchange, lambda connection: _embed(connection, name, texts))
        counted = answer.usage.prompt_tokens if answer.usage else None
        return checked_embeddings(
            answer.vectors(),
            texts,
            prompt_token_count=counted or None,  # LM Studio says 0 where it does not count
            duration_ns=None,
        )

    def unload(self, name: str) -> None:
        """Ask a llama.cpp router or LM Studio to free the model's memory; others keep it until they end.

        See `InferenceClient.unload`.
        """
        catalog, model = self._find(name)
        exchange = self._exchange(self._limits.of_question(), model=name)
        if catalog.is_router:
            self._ask(exchange, lambda connection: connection.tell("/models/unload", {"model": model.name}))
        elif catalog.flavour is Flavour.LM_STUDIO:
            self._unload_from_studio(exchange, model.name)
        else:
            self._say_that_it_stays(name)

    def _warm_up(self, exchange: OpenAIExchange, catalog: Catalog, name: str) -> None:
        path = "/v1/chat/completions" + ("?autoload=true" if catalog.is_router else "")
        body = {"model": name, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1}
        try:
            self._ask(exchange, lambda connection: connection.tell(path, body))
        except RequestRefused as refusal:
            if "does not support" not in str(refusal):
                raise
            # An embedding model refuses to generate; embedding a word loads it just as well.
            self._ask(exchange, lambda connection: _embed(connection, name, ["word"]))

    def _unload_from_studio(self, exchange: OpenAIExchange, name: str) -> None:
        try:
            self._ask(exchange, lambda connection: connection.tell("/api/v1/models/unload", {"instance_id": name}))
        except RequestRefused as refusal:
            if refusal.status != _NOT_FOUND:
                raise
            self._say_that_it_stays(name)  # before LM Studio 0.4 there was no such path; or it is not in memory

    def _say_that_it_stays(self, name: str) -> None:
        logger.info("the server at %s has no way to unload '%s'; it stays in memory", self.base_url, name)

    def _pieces(
        self, request: GenerationRequest, fields: Fields, context: int | None
    ) -> Generator[StreamPiece, None, None]:
        exchange = self._exchange_of_answer(request, context)
        reader = AnswerReader(exchange)
        with self._connect(exchange.budget) as connection:
            for chunk in exchange.lines(connection.chat(request, fields)):
                yield from reader.texts(chunk)
        if reader.done_reason is None:
            raise StreamBroken("it ended without its last line", partial_text=exchange.text)
        yield from reader.rest()
        require_whole_prompt_read(request.messages, reader.prompt_token_count, context)
        yield reader.generation()

    def _checked(self, request: GenerationRequest) -> tuple[Fields, int | None]:
        """Check what can be checked before anything is sent; give the fields and the context."""
        require_question(request.messages)
        catalog, model = self._find(request.model)
        fields: Fields = wire_parameters(request.parameters, catalog.flavour)
        if request.is_margin_wanted and TOP_LOGPROBS in PARAMETERS[catalog.flavour] and not request.demands.tools:
            fields = {TOP_LOGPROBS: WANTED, **fields}
        context = self._context_length(catalog, model)
        require_words_fit(request.messages, context)
        return fields, context

    def _exchange_of_answer(self, request: GenerationRequest, context: int | None) -> OpenAIExchange:
        return self._exchange(
            self._limits.of_answer(),
            model=request.model,
            activity=f"The answer of '{request.model}'",
            context=context,
        )

    def _find(self, name: str) -> tuple[Catalog, ModelDescription]:
        """Give the catalogue and the model in it; one that is not there may be new, so the list is read anew."""
        catalog = self._catalog
        if catalog is None or name not in catalog.models:
            catalog = self._read_catalog()
        if name not in catalog.models:
            raise ModelMissing(name, self.base_url)
        return catalog, catalog.models[name]

    def _read_catalog(self) -> Catalog:
        self._catalog = self._ask(self._exchange(self._limits.of_question()), read_catalog)
        return self._catalog

    def _context_length(self, catalog: Catalog, model: ModelDescription) -> int | None:
        if model.context_length is not None or catalog.flavour is not Flavour.LLAMA_CPP:
            return model.context_length
        try:
            exchange = self._exchange(self._limits.of_question(), model=model.name)
            return self._ask(exchange, lambda connection: context_of_slot(connection, model.name))
        except RequestRefused:
            return None  # a router tells nothing of a model that is not in memory

    def _exchange(
        self,
        budget: TimeBudget,
        *,
        model: str | None = None,
        activity: str | None = None,
        context: int | None = None,
    ) -> OpenAIExchange:
        return OpenAIExchange(
            self.base_url,
            budget,
            model=model,
            activity=activity,
            context=context,
            key_variable=self._api_key.variable if self._api_key else "",
        )

    def _ask(self, exchange: OpenAIExchange, question: Callable[[OpenAIConnection], Answer]) -> Answer:
        with self._connect(exchange.budget) as connection:
            try:
                return question(connection)
            except exchange.package_errors as error:
                raise exchange.failure(error) from error

    @contextmanager
    def _connect(self, budget: TimeBudget) -> Iterator[OpenAIConnection]:
        headers = key_headers(self._api_key, self.base_url)
        timeout = self._limits.to_connect(budget)
        http = httpx.Client(transport=BudgetedTransport(budget), timeout=timeout, trust_env=False)
        with OpenAIConnection(self.base_url, http=http, key_headers=headers) as connection:
            yield connection


def _embed(connection: OpenAIConnection, name: str, texts: Sequence[str]) -> EmbeddingAnswer:
    body = {"model": name, "input": list(texts), "encoding_format": "base64"}
    return EmbeddingAnswer.model_validate(connection.tell("/v1/embeddings", body).json())
