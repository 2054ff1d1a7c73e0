"""A streamed answer on the Ollama wire without its transport."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import ollama

from benchmarks.inference.base import ChatPiece
from benchmarks.inference.chatting import ChatWire
from benchmarks.inference.errors import InferenceError
from benchmarks.inference.ollama_exchange import OllamaExchange
from benchmarks.inference.ollama_wire import calls_of, finished, pieces_of


@dataclass(slots=True)
class OllamaChat(ChatWire):
    """Reads the lines of `/api/chat`."""

    path: ClassVar[str] = "/api/chat"

    exchange: OllamaExchange

    def refusal(self, status: int, body: bytes) -> InferenceError:
        """Tell what an answer with an error's status means."""
        return self.exchange.failure(ollama.ResponseError(body.decode(errors="replace"), status))

    def _read(self, line: bytes) -> Iterator[ChatPiece]:
        record = json.loads(line)
        if told := record.get("error"):
            raise ollama.ResponseError(told)
        read = ollama.ChatResponse(**record)
        yield from pieces_of(self.exchange, read)
        yield from calls_of(self.exchange, record)
        if read.done:
            self._require_whole_prompt(read.prompt_eval_count)
            self.is_finished = True
            yield finished(self.exchange, read)
