from typing import Any

import pytest

from tests.clients.served import CLIENTS
from tests.router.endpoint import LIKE_CODE, LIKE_MATH, Endpoint
from tests.router.standins import EMBEDDER_NAME

pytestmark = CLIENTS


def openai_chat(**options: Any) -> Any:
    from langchain_openai import ChatOpenAI  # two seconds, which only the slow tests shall pay

    return ChatOpenAI(**options)


def openai_embeddings(**options: Any) -> Any:
    from langchain_openai import OpenAIEmbeddings

    return OpenAIEmbeddings(**options)


def ollama_chat(**options: Any) -> Any:
    from langchain_ollama import ChatOllama

    return ChatOllama(**options)


def ollama_embeddings(**options: Any) -> Any:
    from langchain_ollama import OllamaEmbeddings

    return OllamaEmbeddings(**options)


@pytest.fixture
def openai_options(endpoint: Endpoint, address: str) -> dict[str, Any]:
    return {"base_url": f"{address}/v1", "api_key": endpoint.secret}


@pytest.fixture
def ollama_options(endpoint: Endpoint, address: str) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {endpoint.secret}"}
    return {"base_url": address, "client_kwargs": {"headers": headers}}


class TestLangChainOpenAI:
    def test_chats(self, openai_options: dict[str, Any]) -> None:
        answer = openai_chat(model="auto", **openai_options).invoke(LIKE_MATH)
        assert answer.content == "Five."
        assert answer.response_metadata["model_name"] == "small"
        assert answer.response_metadata["token_usage"]["gco2e"] > 0

    def test_streams(self, openai_options: dict[str, Any]) -> None:
        chunks = list(openai_chat(model="auto", stream_usage=True, **openai_options).stream(LIKE_CODE))
        assert "".join(str(chunk.content) for chunk in chunks) == "pass"
        assert sum(chunk.usage_metadata["output_tokens"] for chunk in chunks if chunk.usage_metadata) == 1

    def test_embeds(self, openai_options: dict[str, Any]) -> None:
        embeddings = openai_embeddings(model=EMBEDDER_NAME, check_embedding_ctx_length=False, **openai_options)
        assert [len(vector) for vector in embeddings.embed_documents([LIKE_MATH, LIKE_CODE])] == [384, 384]

    def test_is_told_that_tools_are_not_supported(self, openai_options: dict[str, Any]) -> None:
        with pytest.raises(Exception, match="'tools' asks for more than"):
            openai_chat(model="auto", **openai_options).bind_tools([_tool]).invoke(LIKE_MATH)


class TestLangChainOllama:
    def test_chats(self, ollama_options: dict[str, Any]) -> None:
        model = ollama_chat(model="auto", temperature=0, validate_model_on_init=True, **ollama_options)
        answer = model.invoke(LIKE_MATH)
        assert answer.content == "Five."
        assert (answer.response_metadata["model"], answer.response_metadata["done_reason"]) == ("small", "stop")
        assert answer.usage_metadata is not None
        assert answer.usage_metadata["output_tokens"] == 1

    def test_streams(self, ollama_options: dict[str, Any]) -> None:
        assert (
            "".join(str(one.content) for one in ollama_chat(model="auto", **ollama_options).stream(LIKE_CODE)) == "pass"
        )

    def test_embeds(self, ollama_options: dict[str, Any]) -> None:
        vectors = ollama_embeddings(model=EMBEDDER_NAME, **ollama_options).embed_documents([LIKE_MATH, LIKE_CODE])
        assert [len(vector) for vector in vectors] == [384, 384]


def _tool(number: int) -> int:
    """Double a number."""
    return 2 * number
