"""Talk to an Ollama server, real or embedded, by way of the official `ollama` package."""

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

import ollama

from benchmarks.inference.base import (
    ApiKey,
    Embeddings,
    Generation,
    GenerationParameters,
    GenerationRequest,
    LoadedModel,
    LoadResult,
    ModelDescription,
    ParameterValue,
    PullProgress,
    ServerHealth,
    StreamPiece,
)
from benchmarks.inference.budget import BudgetedTransport, TimeBudget, TimeLimits
from benchmarks.inference.chatting import ChatWire
from benchmarks.inference.demands import TOOL_CHOICE, TOOLS, VISION
from benchmarks.inference.errors import PullFailed, RequestRefused, StreamBroken
from benchmarks.inference.interruption import Interruption
from benchmarks.inference.margins import TOP_LOGPROBS, WANTED
from benchmarks.inference.ollama_chatting import OllamaChat
from benchmarks.inference.ollama_exchange import OllamaExchange
from benchmarks.inference.ollama_wire import (
    OllamaConnection,
    chat_body,
    finished,
    listed_model,
    loaded_model,
    pieces_of,
    shown_model,
    with_tag,
)
from benchmarks.inference.options import (
    gives_margins,
    options_that_depend_on_version,
    require_supported,
    wire_options,
    without_margins,
)
from benchmarks.inference.prompt_length import require_whole_prompt_read, require_words_fit, usable_context
from benchmarks.inference.questions import (
    checked_base_url,
    checked_embeddings,
    key_headers,
    require_question,
    require_texts,
    whole_answer,
)

Answer = TypeVar("Answer")


class OllamaClient:
    """An `InferenceClient` for one Ollama server.

    The time limits are those of `TimeLimits`, in seconds. `keep_alive_s` is how long the server keeps a model
    in memory after a request, negative for ever, None as the server likes. `interruption` ends from another thread what
    this client waits for.

    Each call opens a connection of its own: a budget belongs to one request, a restarted server leaves no
    dead connection behind, and closing it is what cancels a generation. Proxies of the environment are not
    used.
    """

    def __init__(
        self,
        base_url: str,
        *,
        connect_timeout_s: float = 5.0,
        first_token_timeout_s: float = 120.0,
        total_timeout_s: float = 600.0,
        keep_alive_s: float | None = None,
        api_key: ApiKey | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        interruption: Interruption | None = None,
    ) -> None:
        self.base_url = checked_base_url(base_url, example="http://127.0.0.1:11434")
        self._limits = TimeLimits(connect_timeout_s, first_token_timeout_s, total_timeout_s, clock_ns, interruption)
        self._api_key = api_key
        self._keep_alive_s = keep_alive_s
        self._context_lengths: dict[str, int | None] = {}
        self._version: str | None = None

    def health(self) -> ServerHealth:
        """Ask the server for its version; see `InferenceClient.health`."""
        exchange = self._exchange(self._limits.of_health())
        return ServerHealth(self._ask(exchange, OllamaConnection.version).version)

    def list_models(self) -> list[ModelDescription]:
        """List the models of the server by name; see `InferenceClient.list_models`."""
        listed = self._ask(self._exchange(self._limits.of_question()), OllamaConnection.list)
        return sorted((listed_model(model) for model in listed.models), key=lambda model: model.name)

    def describe(self, name: str) -> ModelDescription:
        """Tell all about one model, its digest and size from the list; see `InferenceClient.describe`."""
        exchange = self._exchange(self._limits.of_question(), model=name)
        shown = self._ask(exchange, lambda connection: connection.show(name))
        listed = {model.name: model for model in self.list_models()}.get(with_tag(name))
        description = shown_model(name, shown, listed)
        self._context_lengths[name] = description.context_length
        return description

    def abilities(self, name: str) -> dict[str, bool]:
        """Tell what a model can beyond text; see `AbleClient.abilities`. Servers before 0.6.4 tell next to nothing."""
        exchange = self._exchange(self._limits.of_question(), model=name)
        told = self._ask(exchange, lambda connection: connection.show(name)).capabilities
        known = {ability: ability in told for ability in (TOOLS, VISION)} if told else {}
        return {**known, TOOL_CHOICE: False}

    def load(self, name: str, parameters: GenerationParameters) -> LoadResult:
        """Bring the model into memory; the duration is the client's. See `InferenceClient.load`."""
        options = without_margins(self._checked_options(parameters))
        exchange = self._exchange(self._limits.of_work(), model=name, activity=f"Loading '{name}'")
        try:
            self._ask(
                exchange,
                lambda connection: connection.generate(name, prompt="", options=options, keep_alive=self._keep_alive_s),
            )
        except RequestRefused as refusal:
            if "does not support" not in str(refusal):
                raise
            # An embedding model refuses to generate even nothing; embedding nothing loads it just as well.
            self._ask(
                exchange,
                lambda connection: connection.embed(name, input=[], options=options, keep_alive=self._keep_alive_s),
            )
        return LoadResult(duration_ns=exchange.budget.elapsed_ns())

    def generate(self, request: GenerationRequest) -> Generation:
        """Generate one answer, by a stream to time its first token; see `InferenceClient.generate`."""
        return whole_answer(self.stream(request))

    def stream(self, request: GenerationRequest) -> Generator[StreamPiece, None, None]:
        """Generate one answer piece by piece; see `InferenceClient.stream`."""
        options, context = self._checked(request)
        return self._pieces(request, options, context)

    def prepare(self, request: GenerationRequest) -> ChatWire:
        """Give an answer's wire without its transport; see `PreparingClient.prepare`."""
        options, context = self._checked(request)
        body = chat_body(request, options, keep_alive_s=self._keep_alive_s)
        exchange = self._exchange_of_answer(request, context)
        return OllamaChat(exchange, self.base_url, key_headers(self._api_key, self.base_url), body, request.messages)

    def is_ready_for(self, request: GenerationRequest) -> bool:
        """Say whether `prepare` asks the server nothing; see `PreparingClient.is_ready_for`."""
        is_known = request.model in self._context_lengths and not (request.is_margin_wanted and self._version is None)
        return is_known and not options_that_depend_on_version(wire_options(request.parameters))

    def embed(self, name: str, texts: Sequence[str]) -> Embeddings:
        """Turn texts into vectors; see `InferenceClient.embed`."""
        require_texts(texts)
        exchange = self._exchange(self._limits.of_work(), model=name, activity=f"Embedding with '{name}'")
        answer = self._ask(
            exchange,
            lambda connection: connection.embed(name, input=list(texts), truncate=False, keep_alive=self._keep_alive_s),
        )
        return checked_embeddings(
            [list(vector) for vector in answer.embeddings],
            texts,
            prompt_token_count=answer.prompt_eval_count,
            duration_ns=answer.total_duration,
            load_duration_ns=answer.load_duration,
        )

    def unload(self, name: str) -> None:
        """Ask the server to free the model's memory; see `InferenceClient.unload`."""
        exchange = self._exchange(self._limits.of_question(), model=name)
        self._ask(exchange, lambda connection: connection.generate(name, prompt="", keep_alive=0))

    def loaded_models(self) -> dict[str, LoadedModel]:
        """Return the models in memory by their names; see `LoadedModelsClient.loaded_models`."""
        running = self._ask(self._exchange(self._limits.of_health()), OllamaConnection.ps)
        told = [loaded_model(model) for model in running.models if model.model or model.name]
        return {model.name: model for model in told}

    def pull(self, name: str) -> Iterator[PullProgress]:
        """Fetch a model; the time limit of a whole answer bounds the wait for each piece of news.

        See `PullingClient.pull`.
        """
        exchange = self._exchange(self._limits.of_work(), model=name, activity=f"The next news of pulling '{name}'")
        with self._connect(exchange.budget) as connection:
            try:
                for news in connection.pull(name, stream=True):
                    exchange.budget.restart()
                    yield PullProgress(news.status or "", news.completed if news.total else None, news.total)
            except ollama.ResponseError as error:
                raise PullFailed(name, self.base_url, str(error.error).strip()) from error
            except exchange.package_errors as error:
                raise exchange.failure(error) from error

    def _pieces(
        self, request: GenerationRequest, options: Mapping[str, ParameterValue], context: int | None
    ) -> Generator[StreamPiece, None, None]:
        exchange = self._exchange_of_answer(request, context)
        with self._connect(exchange.budget) as connection:
            lines = connection.chat_uncut(request, options, keep_alive_s=self._keep_alive_s)
            for line in exchange.lines(lines):
                yield from pieces_of(exchange, line)
                if line.done:
                    require_whole_prompt_read(request.messages, line.prompt_eval_count, context)
                    yield finished(exchange, line)
                    return
        raise StreamBroken("it ended without its last line", partial_text=exchange.text)

    def _checked(self, request: GenerationRequest) -> tuple[dict[str, ParameterValue], int | None]:
        """Check what can be checked before anything is sent; give the options and the context."""
        require_question(request.messages)
        options = self._checked_options(request.parameters)
        if request.is_margin_wanted and not request.demands.tools and self._gives_margins():
            options = {TOP_LOGPROBS: WANTED, **options}
        require_words_fit(request.messages, request.parameters.num_ctx)
        context = usable_context(request.parameters.num_ctx, self._context_length(request.model))
        require_words_fit(request.messages, context)
        return options, context

    def _exchange_of_answer(self, request: GenerationRequest, context: int | None) -> OllamaExchange:
        return self._exchange(
            self._limits.of_answer(),
            model=request.model,
            activity=f"The answer of '{request.model}'",
            context=context,
        )

    def _checked_options(self, parameters: GenerationParameters) -> dict[str, ParameterValue]:
        options = wire_options(parameters)
        version = self.health().version if options_that_depend_on_version(options) else None
        require_supported(options, version)
        return options

    def _gives_margins(self) -> bool:
        """Say whether the server tells log probabilities; it is asked once for its version."""
        if self._version is None:
            self._version = self.health().version
        return gives_margins(self._version)

    def _context_length(self, model: str) -> int | None:
        if model not in self._context_lengths:
            try:
                return self.describe(model).context_length
            except RequestRefused:
                return None  # a server that does not describe its models still generates
        return self._context_lengths[model]

    def _exchange(
        self,
        budget: TimeBudget,
        *,
        model: str | None = None,
        activity: str | None = None,
        context: int | None = None,
    ) -> OllamaExchange:
        return OllamaExchange(
            self.base_url,
            budget,
            model=model,
            activity=activity,
            context=context,
            key_variable=self._api_key.variable if self._api_key else "OLLAMA_API_KEY",
        )

    def _ask(self, exchange: OllamaExchange, question: Callable[[OllamaConnection], Answer]) -> Answer:
        with self._connect(exchange.budget) as connection:
            try:
                return question(connection)
            except exchange.package_errors as error:
                raise exchange.failure(error) from error

    @contextmanager
    def _connect(self, budget: TimeBudget) -> Iterator[OllamaConnection]:
        with OllamaConnection(
            self.base_url,
            transport=BudgetedTransport(budget),
            timeout=self._limits.to_connect(budget),
            trust_env=False,
            headers=key_headers(self._api_key, self.base_url),
        ) as connection:
            yield connection
