"""Fixtures of the inference tests."""

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from benchmarks.inference.openai_parameters import Flavour
from benchmarks.inference.scripted import AnswerScript, Fault, ScriptedModel, ScriptedOllama
from benchmarks.inference.scripted_openai import ScriptedOpenAI
from tests.benchmarks.inference.asking import CHAT, EMBEDDING, Start
from tests.real_ollama import real_chat_model, real_ollama

if TYPE_CHECKING:  # the package openai takes every process a third of a second
    from tests.benchmarks.inference.asking_openai import StartOpenAI

__all__ = ["real_chat_model", "real_ollama"]


@pytest.fixture
def silent_server() -> Iterator[str]:
    """Give the address of a server that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def closed_port() -> Iterator[str]:
    """Give an address where nobody listens; the port stays bound so that nobody else can."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@pytest.fixture
def start() -> Iterator[Start]:
    """Start simulated servers that end with the test."""
    with ExitStack() as servers:

        def starting(*faults: Fault, answers: AnswerScript | Mapping[str, str] | None = None) -> ScriptedOllama:
            script = {"2 + 2?": "It is four."} if answers is None else answers
            return servers.enter_context(ScriptedOllama([CHAT, EMBEDDING], answers=script, faults=faults))

        yield starting


@pytest.fixture
def start_openai() -> Iterator["StartOpenAI"]:
    """Start simulated OpenAI-compatible servers that end with the test."""
    with ExitStack() as servers:

        def starting(
            *faults: Fault,
            flavour: Flavour = Flavour.VLLM,
            answers: AnswerScript | Mapping[str, str] | None = None,
            models: Sequence[ScriptedModel] = (CHAT, EMBEDDING),
            is_router: bool = False,
            api_key: str = "",
        ) -> ScriptedOpenAI:
            script = {"2 + 2?": "It is four."} if answers is None else answers
            server = ScriptedOpenAI(
                models, flavour=flavour, answers=script, faults=faults, is_router=is_router, api_key=api_key
            )
            return servers.enter_context(server)

        yield starting
