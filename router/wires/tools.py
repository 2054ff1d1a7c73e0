"""How tools and the calls of tools are read on both wires. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from benchmarks.inference.base import ChatMessage
from benchmarks.inference.demands import Demands, ToolCall
from router.wires.fields import WireError, read_text, require_plain

_CHOICES = ("auto", "none", "required")


def read_tools(raw: object) -> tuple[Mapping[str, Any], ...]:
    """Read `tools`, which are alike on both wires and go to the model's server as they are.

    Raises:
        WireError: it is no list of functions with names.
    """
    if raw is None:
        return ()
    if not isinstance(raw, list):
        raise WireError("'tools' must be a list of functions.", param="tools")
    for number, tool in enumerate(raw):
        param = f"tools[{number}]"
        if not isinstance(tool, Mapping) or tool.get("type", "function") != "function":
            raise WireError(f"{param} must be an object of the type 'function'.", param=param)
        _named(tool.get("function"), f"{param}.function")
        require_plain(tool, param)
    return tuple(raw)


def read_tool_demands(record: Mapping[str, Any]) -> Demands:
    """Read the fields of OpenAI's wire about tools.

    Raises:
        WireError: one is wrong; the error names it.
    """
    tools, choice, parallel = (
        read_tools(record.get("tools")),
        record.get("tool_choice"),
        record.get("parallel_tool_calls"),
    )
    if isinstance(choice, Mapping):
        require_plain(choice, "tool_choice")
        name = _named(choice.get("function"), "tool_choice.function")
        if name not in {tool["function"]["name"] for tool in tools}:
            raise WireError(f"'tool_choice' names '{name}', which is none of 'tools'.", param="tool_choice")
    elif choice is not None and choice not in _CHOICES:
        raise WireError(f"'tool_choice' must be one of {', '.join(_CHOICES)}, or a function.", param="tool_choice")
    elif choice == "required" and not tools:
        raise WireError("'tool_choice' wants a tool called, but there are no 'tools'.", param="tool_choice")
    if parallel is not None and not isinstance(parallel, bool):
        raise WireError("'parallel_tool_calls' must be true or false.", param="parallel_tool_calls")
    return Demands(tools, choice, parallel) if tools else Demands()


def read_openai_calls(raw: object, param: str) -> tuple[ToolCall, ...]:
    """Read the `tool_calls` of an assistant's message on OpenAI's wire."""
    return tuple(
        ToolCall(_text(call.get("id"), f"{one}.id"), _named(function, f"{one}.function"), _arguments(function, one))
        for one, call, function in _calls(raw, param)
    )


def read_ollama_calls(raw: object, param: str) -> tuple[ToolCall, ...]:
    """Read the `tool_calls` of an assistant's message on Ollama's wire; most clients give them no id."""
    calls = []
    for one, call, function in _calls(raw, param):
        arguments = function.get("arguments", {})
        if not isinstance(arguments, Mapping):
            raise WireError(f"{one}.function.arguments must be an object.", param=f"{one}.function.arguments")
        require_plain(arguments, f"{one}.function.arguments")
        text = json.dumps(arguments, separators=(",", ":"), ensure_ascii=False)
        calls.append(ToolCall(read_text(call.get("id"), f"{one}.id"), _named(function, f"{one}.function"), text))
    return tuple(calls)


def with_ids(messages: Sequence[ChatMessage]) -> tuple[ChatMessage, ...]:
    """Give every call an id and every tool's message that of its call, by the tool's name, else in their order."""
    done, waiting, count = [], list[ToolCall](), 0
    for message in messages:
        if message.tool_calls:
            calls = []
            for call in message.tool_calls:
                count += 1
                calls.append(call if call.id else replace(call, id=f"call_{count}"))
            waiting.extend(calls)
            done.append(replace(message, tool_calls=tuple(calls)))
        elif message.role == "tool":
            done.append(_answering(message, waiting))
        else:
            done.append(message)
    return tuple(done)


def _answering(message: ChatMessage, waiting: list[ToolCall]) -> ChatMessage:
    """Return a tool's message with the id and the name of the call that it answers, which waits no longer."""
    same = [
        call
        for call in waiting
        if (call.id == message.tool_call_id if message.tool_call_id else message.tool_name in ("", call.name))
    ]
    if not same:
        return message
    waiting.remove(same[0])
    return replace(message, tool_call_id=same[0].id, tool_name=same[0].name)


def _calls(raw: object, param: str) -> list[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    if raw is None:
        return []
    if not isinstance(raw, list):
        raise WireError(f"{param} must be a list of calls.", param=param)
    read = []
    for number, call in enumerate(raw):
        one = f"{param}[{number}]"
        if not isinstance(call, Mapping) or not isinstance(call.get("function"), Mapping):
            raise WireError(f"{one} must be an object with a 'function'.", param=one)
        read.append((one, call, call["function"]))
    return read


def _named(function: object, param: str) -> str:
    if not isinstance(function, Mapping):
        raise WireError(f"{param} must be an object with a 'name'.", param=param)
    return _text(function.get("name"), f"{param}.name")


def _text(raw: object, param: str) -> str:
    if not raw:
        raise WireError(f"{param} is missing.", param=param)
    return read_text(raw, param)


def _arguments(function: Mapping[str, Any], param: str) -> str:
    """Read arguments in JSON, and an empty text as none; a server of the other kind needs an object."""
    text = read_text(function.get("arguments"), f"{param}.function.arguments") or "{}"
    try:
        arguments = json.loads(text)
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        name = f"{param}.function.arguments"
        raise WireError(f"{name} must be an object of JSON, as a text.", param=name)
    require_plain(arguments, f"{param}.function.arguments")
    return text
