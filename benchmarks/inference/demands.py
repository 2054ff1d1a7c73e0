"""What a request may ask of a model beyond a text: tools to call, images to look at, an answer in JSON.

A model calls a tool by its name with arguments in JSON. OpenAI's wire carries those as a text, as the model wrote it;
Ollama's as an object.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

TOOLS = "tools"
VISION = "vision"
TOOL_CHOICE = "tool_choice"  # to say which tool must be called, which Ollama's wire cannot

Json = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Image:
    """A picture in base64, with its kind, such as `image/png`."""

    media_type: str
    base64: str = field(repr=False)

    @property
    def url(self) -> str:
        """Give it as a data URL."""
        return f"data:{self.media_type};base64,{self.base64}"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model wants a tool called; the arguments are JSON, as the model wrote them."""

    id: str
    name: str
    arguments: str

    def on_openai(self) -> dict[str, object]:
        """Give the call as OpenAI's wire has it."""
        return {"id": self.id, "type": "function", "function": {"name": self.name, "arguments": self.arguments}}

    def on_ollama(self, index: int) -> dict[str, object]:
        """Give the call as Ollama's wire has it.

        Raises `ValueError` where the arguments are no object of JSON.
        """
        arguments = json.loads(self.arguments or "{}")
        if not isinstance(arguments, dict):
            raise ValueError("the arguments are no object")  # noqa: TRY004  as a text that is no JSON has it
        return {"id": self.id, "function": {"index": index, "name": self.name, "arguments": arguments}}


@dataclass(frozen=True, slots=True)
class ToolCallPiece:
    """A piece of a call as it arrives: the first one has id and name, the others more of the arguments."""

    index: int
    id: str
    name: str
    arguments: str

    @property
    def delta(self) -> dict[str, object]:
        """Give the piece as OpenAI's wire has it."""
        if not self.id:
            return {"index": self.index, "function": {"arguments": self.arguments}}
        return {"index": self.index, **ToolCall(self.id, self.name, self.arguments).on_openai()}


def called(calls: Iterable[ToolCall]) -> tuple[ToolCallPiece, ...]:
    """Give calls that are whole already as pieces."""
    return tuple(ToolCallPiece(index, call.id, call.name, call.arguments) for index, call in enumerate(calls))


@dataclass(frozen=True, slots=True)
class AnswerFormat:
    """An answer in JSON: any object, or one that obeys the schema in `named`, which is OpenAI's `json_schema`."""

    named: Json | None = None

    @property
    def on_openai(self) -> Json:
        """Give the value of `response_format`."""
        if self.named is None:
            return {"type": "json_object"}
        return {"type": "json_schema", "json_schema": dict(self.named)}

    @property
    def on_ollama(self) -> object:
        """Give the value of `format`."""
        return "json" if self.named is None else self.named.get("schema", "json")


@dataclass(frozen=True, slots=True)
class Demands:
    """What is asked beyond text, but for the images, which belong to their messages."""

    tools: tuple[Json, ...] = ()
    tool_choice: str | Json | None = None
    is_parallel: bool | None = None
    answer_format: AnswerFormat | None = None

    @property
    def is_tool_choice_forced(self) -> bool:
        """Tell whether the model is not free to call or not, one tool or several."""
        return bool(self.tools) and (self.tool_choice not in (None, "auto", "none") or self.is_parallel is False)

    @property
    def character_count(self) -> int:
        """Give how many characters the model reads of it."""
        return sum(len(json.dumps(tool)) for tool in self.tools)

    def on_openai(self) -> dict[str, object]:
        """Give the fields of a request on OpenAI's wire."""
        fields: dict[str, object] = {}
        if self.tools:
            fields["tools"] = [dict(tool) for tool in self.tools]
            if self.tool_choice is not None:
                fields["tool_choice"] = self.tool_choice
            if self.is_parallel is not None:
                fields["parallel_tool_calls"] = self.is_parallel
        if self.answer_format is not None:
            fields["response_format"] = self.answer_format.on_openai
        return fields

    def on_ollama(self) -> dict[str, object]:
        """Give the fields of a request on Ollama's wire, which has no `tool_choice`.

        Its own layer for OpenAI's clients leaves that out. What can be said by the tools alone is: where none shall be
        called there are none, and where one is named there is no other. Whether it is called stays with the model.
        """
        fields: dict[str, object] = {}
        offered = [dict(tool) for tool in self.tools if self._is_offered(tool)]
        if offered:
            fields["tools"] = offered
        if self.answer_format is not None:
            fields["format"] = self.answer_format.on_ollama
        return fields

    def _is_offered(self, tool: Json) -> bool:
        """Tell whether the choice leaves a tool to be called."""
        if not isinstance(self.tool_choice, Mapping):
            return self.tool_choice != "none"
        wanted, own = self.tool_choice.get("function"), tool.get("function")
        return not isinstance(wanted, Mapping) or not isinstance(own, Mapping) or wanted.get("name") == own.get("name")


@runtime_checkable
class AbleClient(Protocol):
    """A client whose server may tell what its models can beyond text."""

    def abilities(self, name: str) -> Mapping[str, bool]:
        """Tell whether a model has `tools`, `vision` and `tool_choice`; what the server does not tell is left out.

        Raises `ModelMissing` when it has no such model, and `InferenceError` where the server cannot be asked.
        """
        ...
