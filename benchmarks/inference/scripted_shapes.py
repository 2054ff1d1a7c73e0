"""The JSON of the simulated Ollama server, made of the script; a token is a word, durations are made up."""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from benchmarks.inference.demands import ToolCall
from benchmarks.inference.scripting import ScriptedAnswer, ScriptedModel
from benchmarks.units import NANOSECONDS_PER_MILLISECOND

Json = Mapping[str, object]

CREATED_AT = "2026-01-01T00:00:00Z"
FORGOTTEN_AT = "2026-01-01T12:05:00.5+02:00"  # of a model in memory; real servers tell their own time zone
MADE_UP_NS_PER_TOKEN = NANOSECONDS_PER_MILLISECOND
MADE_UP_LOAD_NS = 5 * NANOSECONDS_PER_MILLISECOND


@dataclass(frozen=True, slots=True)
class Question:
    """A request to generate, read from its body."""

    path: str
    model: str
    texts: tuple[str, ...]
    options: Json
    is_streamed: bool
    top_logprobs: int | None = None

    @property
    def is_empty(self) -> bool:
        """Say whether it only asks to load or to unload the model."""
        return not any(self.texts)

    @property
    def token_count(self) -> int:
        """Give the length of the prompt in the tokens of the simulation, its words."""
        return sum(len(text.split()) for text in self.texts)

    def limit(self, option: str, otherwise: int) -> int:
        """Give an option that is a whole number."""
        value = self.options.get(option)
        return value if isinstance(value, int) else otherwise

    def line(self, text: str, *, thinking: str = "") -> Json:
        """Make one line of the answer in the shape of the route that was asked."""
        thought = {"thinking": thinking} if thinking else {}
        content: Json = {"response": text, **thought}
        if self.path == "/api/chat":
            content = {"message": {"role": "assistant", "content": text, **thought}}
        return {"model": self.model, "created_at": CREATED_AT, **content, "done": False}

    def called(self, calls: Sequence[ToolCall], text: str = "") -> Json:
        """Make the line with calls of tools."""
        told = [call.on_ollama(index) for index, call in enumerate(calls)]
        return {**self.line(text), "message": {"role": "assistant", "content": text, "tool_calls": told}}

    def last_line(self, done_reason: str, figures: Json = MappingProxyType({})) -> Json:
        """Make the line that ends the answer."""
        return {**self.line(""), "done": True, "done_reason": done_reason, **figures}

    def sent_tokens(self, answer: ScriptedAnswer) -> list[str]:
        """Give the tokens of an answer up to `num_predict`, which is without limit when negative."""
        tokens = words_of(answer.text)
        limit = self.limit("num_predict", len(tokens))
        return tokens if limit < 0 else tokens[:limit]


def read_question(path: str, body: Json) -> Question:
    """Read the body of `/api/chat` or `/api/generate`."""
    messages = [message for message in as_items(body.get("messages")) if isinstance(message, dict)]
    texts = [str(message.get("content") or "") for message in messages] or [str(body.get("prompt") or "")]
    return Question(
        path=path,
        model=str(body.get("model")),
        texts=tuple(texts),
        options=read_options(body),
        is_streamed=body.get("stream") is not False,
        top_logprobs=logprobs_asked(body),
    )


def logprobs_asked(body: Json) -> int | None:
    """Give how many of the likeliest tokens a request wants to know of; None where it wants no log probabilities."""
    count = body.get("top_logprobs")
    return None if not body.get("logprobs") else count if isinstance(count, int) else 0


def read_options(body: Json) -> Json:
    """Give the options of a request, none when there are none."""
    options = body.get("options")
    return options if isinstance(options, dict) else {}


def as_items(value: object) -> Sequence[object]:
    """Take a JSON list as it is and anything else as no items."""
    return value if isinstance(value, list) else ()


def answer_lines(
    question: Question, answer: ScriptedAnswer, *, prompt_token_count: int, is_load: bool
) -> Iterator[Json]:
    """Make the lines of a streamed answer: thinking, text word by word, then the figures."""
    for token in words_of(answer.thinking):
        yield question.line("", thinking=token)
    sent = question.sent_tokens(answer)
    for token in sent:
        likely = answer.likely_tokens(token, count=question.top_logprobs)
        yield {**question.line(token), "logprobs": likely} if likely else question.line(token)
    if answer.tool_calls:
        yield question.called(answer.tool_calls)
    is_cut = len(sent) < len(words_of(answer.text))
    figures = _figures(prompt_token_count, len(sent), is_load=is_load) if answer.reports_figures else {}
    yield question.last_line("length" if is_cut else answer.done_reason, figures)


def joined_answer(question: Question, lines: Sequence[Json], answer: ScriptedAnswer) -> Json:
    """Make the one answer of a request that wants no stream."""
    figures = {name: value for name, value in lines[-1].items() if name not in {"message", "response"}}
    text = "".join(question.sent_tokens(answer))
    if answer.tool_calls:
        return {**question.called(answer.tool_calls, text), **figures}
    return {**question.line(text, thinking=answer.thinking), **figures}


def tags_item(model: ScriptedModel) -> Json:
    """Make one entry of `/api/tags`."""
    return {
        "name": model.name,
        "model": model.name,
        "modified_at": CREATED_AT,
        "size": model.size_bytes,
        "digest": model.digest,
        "details": _details(model),
    }


def ps_item(model: ScriptedModel) -> Json:
    """Make one entry of `/api/ps`: the weights and a quarter more for the context, most of it on a graphics card."""
    size = model.size_bytes * 5 // 4
    return {
        "name": model.name,
        "model": model.name,
        "size": size,
        "digest": model.digest,
        "details": _details(model),
        "expires_at": FORGOTTEN_AT,
        "size_vram": size * 3 // 4,
        "context_length": model.context_length,
    }


def shown(model: ScriptedModel) -> Json:
    """Make the answer of `/api/show`."""
    return {
        "modelfile": "",
        "template": "",
        "details": _details(model),
        "model_info": {
            "general.architecture": model.family,
            f"{model.family}.context_length": model.context_length,
            f"{model.family}.embedding_length": model.embedding_length,
        },
        "capabilities": list(model.capabilities),
    }


def pull_lines(model: ScriptedModel | None) -> Iterator[Json]:
    """Make the lines of `/api/pull`; a model that nobody has ends them with an error, as on a real server."""
    yield {"status": "pulling manifest"}
    if model is None:
        yield {"error": "pull model manifest: file does not exist"}
        return
    layer = {"status": f"pulling {model.digest[:12]}", "digest": f"sha256:{model.digest}", "total": model.size_bytes}
    for done in (0, model.size_bytes // 2, model.size_bytes):
        yield {**layer, "completed": done} if done else layer  # a real server leaves out what is 0
    yield {"status": "success"}


def embedded(model: ScriptedModel, texts: Sequence[str], *, is_load: bool) -> Json:
    """Make the answer of `/api/embed`; texts that share words lie near each other."""
    token_count = sum(len(text.split()) for text in texts)
    return {
        "model": model.name,
        "embeddings": [word_vector(text, model.embedding_length) for text in texts],
        "total_duration": token_count * MADE_UP_NS_PER_TOKEN + is_load * MADE_UP_LOAD_NS,
        "prompt_eval_count": token_count,
        **({"load_duration": MADE_UP_LOAD_NS} if is_load else {}),
    }


def word_vector(text: str, dimension: int) -> list[float]:
    """Hash every word to one signed axis and scale the sum to length 1."""
    vector = [0.0] * dimension
    for word in text.lower().split():
        digest = hashlib.sha256(word.encode()).digest()
        vector[int.from_bytes(digest[:4]) % dimension] += 1.0 if digest[4] % 2 else -1.0
    length = math.hypot(*vector)
    return [value / length for value in vector] if length else vector


def words_of(text: str) -> list[str]:
    """Cut a text into the tokens of the simulation: its words, each with the blank before it."""
    words = text.split(" ") if text else []
    return words[:1] + [f" {word}" for word in words[1:]]


def _details(model: ScriptedModel) -> Json:
    return {
        "parent_model": "",
        "format": "gguf",
        "family": model.family,
        "families": [model.family],
        "parameter_size": model.parameter_size,
        "quantization_level": model.quantization,
    }


def _figures(prompt_token_count: int, output_token_count: int, *, is_load: bool) -> Json:
    figures = {
        "load_duration": MADE_UP_LOAD_NS if is_load else 0,
        "prompt_eval_count": prompt_token_count,
        "prompt_eval_duration": prompt_token_count * MADE_UP_NS_PER_TOKEN,
        "eval_count": output_token_count,
        "eval_duration": output_token_count * MADE_UP_NS_PER_TOKEN,
    }
    total = sum(value for name, value in figures.items() if name.endswith("_duration"))
    # A real server leaves out what is 0.
    return {name: value for name, value in {"total_duration": total, **figures}.items() if value}
