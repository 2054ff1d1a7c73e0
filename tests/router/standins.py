"""What stands in for Chroma and the embedding server where a test is about neither."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from django.db.models import Model

from benchmarks.inference.base import Embeddings, InferenceClient, InferenceError, PromptTooLong
from benchmarks.inference.scripted import ScriptedModel
from benchmarks.inference.scripted_shapes import word_vector
from benchmarks.models import Deployment, InferenceServer, LanguageModel, Prompt
from router.embedding import Embedder
from router.index import IndexTooLarge, Loaded, VectorStore
from router.indexing import build_index, text_of
from router.models import PolicyVersion, PromptIndex
from router.vectors import Matrix, Neighbour, nearest, usual_distance
from tests import factories as make
from tests.router.written_once import Written, is_nothing_there

DIMENSION = 384  # wide enough that the words of the tests fall on axes of their own
EMBEDDER_NAME = "all-minilm"
SCRIPTED_DIGEST = "0" * 64  # of every scripted model
SCRIPTED_MODELS = (
    ScriptedModel("small"),
    ScriptedModel("large"),
    ScriptedModel(EMBEDDER_NAME, embedding_length=DIMENSION, capabilities=("embedding",)),
)


class MemoryStore(VectorStore):
    """Vectors in a dictionary, searched as the true store searches them; `failure` strikes the next write."""

    def __init__(self, *, cache_dir: Path = Path("/nonexistent"), exact_limit: int = 100_000) -> None:
        super().__init__(chroma_url="http://127.0.0.1:1", cache_dir=cache_dir, exact_limit=exact_limit)
        self.collections: dict[str, tuple[npt.NDArray[np.int64], Matrix]] = {}
        self.failure: Exception | None = None

    def write(self, collection_name: str, prompt_ids: Sequence[int], matrix: Matrix) -> None:
        if self.failure is not None:
            raise self.failure
        self.collections[collection_name] = (np.asarray(prompt_ids, dtype=np.int64), matrix)

    def delete(self, collection_name: str) -> None:
        self.collections.pop(collection_name, None)

    def pages(self, collection_name: str) -> Iterator[tuple[list[int], Matrix]]:
        prompt_ids, matrix = self.collections[collection_name]
        yield prompt_ids.tolist(), matrix

    def whole(self, collection_name: str, prompt_count: int) -> Loaded:
        if not self.is_held(prompt_count):
            raise IndexTooLarge("too large")
        return Loaded(*self.collections[collection_name])

    def nearest(self, collection_name: str, vector: npt.NDArray[Any], count: int, prompt_count: int) -> list[Neighbour]:
        prompt_ids, matrix = self.collections[collection_name]
        return nearest(matrix, prompt_ids, vector, count)

    def usual_distance(self, collection_name: str, prompt_ids: Sequence[int]) -> float | None:
        return usual_distance(self.collections[collection_name][1])


@dataclass
class WordClient:
    """Embeds by the words of a text, so that texts that share words lie near each other; asked texts are kept."""

    dimension: int = DIMENSION
    failure: InferenceError | None = None
    batches: list[list[str]] = field(default_factory=list)

    def embed(self, name: str, texts: Sequence[str]) -> Embeddings:
        if self.failure is not None:
            raise self.failure
        self.batches.append(list(texts))
        vectors = [word_vector(text, self.dimension) for text in texts]
        return Embeddings(vectors, self.dimension, prompt_token_count=None, duration_ns=None)

    @property
    def texts(self) -> list[str]:
        return [text for batch in self.batches for text in batch]


@dataclass
class NarrowClient(WordClient):
    """Takes no text of more characters than its context."""

    context: int = 100

    def embed(self, name: str, texts: Sequence[str]) -> Embeddings:
        if any(len(text) > self.context for text in texts):
            raise PromptTooLong(prompt_token_count=None, context_length=self.context, reason="too many characters")
        return super().embed(name, texts)


class ForgetfulClient(WordClient):
    """Embeds all texts but the last one of each batch."""

    def embed(self, name: str, texts: Sequence[str]) -> Embeddings:
        return super().embed(name, texts[:-1])


def make_embedder(client: object | None = None, *, digest: str = SCRIPTED_DIGEST) -> Embedder:
    """Make an embedder; with another digest it is one with other weights under the same name."""
    model, _ = LanguageModel.objects.get_or_create(
        name=EMBEDDER_NAME, digest=digest, defaults={"purpose": LanguageModel.Purpose.EMBEDDING}
    )
    return Embedder(model, cast(InferenceClient, client or WordClient()))


def make_index(prompts: Sequence[Prompt], *, embedder: Embedder, store: VectorStore, **facts: Any) -> PromptIndex:
    facts = {"embedded_text": PromptIndex.EmbeddedText.ITEM, "clock": lambda: make.NOW, **facts}
    return build_index(prompts=prompts, embedder=embedder, store=store, **facts)


@dataclass(frozen=True)
class Federation:
    """Two models of which the small one is cheap and right in math only; the large one is always right."""

    server: InferenceServer
    small: Deployment
    large: Deployment
    embedder: Embedder
    store: MemoryStore
    math: Prompt
    code: Prompt
    index: PromptIndex


_written: dict[str | None, tuple[Written, list[Model]]] = {}  # by policy: all rows, and those that a federation names


def make_federation(base_url: str = "http://127.0.0.1:1", *, policy: str | None = "nearest") -> Federation:
    """Make a measured, judged and indexed federation on one server, routed by a policy; None: nobody chose one.

    Some eight hundred tests begin with it. The makers would take half the time of most of them.
    """
    if not is_nothing_there():
        return _make_federation(base_url, policy)
    if policy not in _written:
        made = _make_federation(base_url, policy)
        named = [made.server, made.small, made.large, made.embedder.language_model, made.math, made.code, made.index]
        _written[policy] = Written(), copy.deepcopy(named)
        return made
    rows, named = _written[policy]
    fresh = rows.write_again(make.next_number, but={(InferenceServer, "base_url"): base_url})
    return _federation_of(*cast(Any, fresh.of(named)), base_url=base_url)


def _federation_of(
    server: InferenceServer,
    small: Deployment,
    large: Deployment,
    model: LanguageModel,
    math: Prompt,
    code: Prompt,
    index: PromptIndex,
    *,
    base_url: str,
) -> Federation:
    """Return a federation of rows that are there, with vectors and an embedder as building its index leaves them."""
    server.base_url = base_url
    embedder, store = Embedder(model, cast(InferenceClient, WordClient())), MemoryStore()
    prompts = [math, code]
    store.write(
        index.collection_name,
        [one.pk for one in prompts],
        embedder.embed([text_of(one, index.embedded_text) for one in prompts]),
    )
    return Federation(server, small, large, embedder, store, math, code, index)


def _make_federation(base_url: str, policy: str | None) -> Federation:
    server = make.make_server(base_url=base_url)
    small, large = (make.make_deployment(name, server=server) for name in ("small", "large"))
    embedder = make_embedder()
    Deployment.objects.create(
        language_model=embedder.language_model, server=server, state="active", state_changed_at=make.NOW
    )
    math = make.make_prompt("what is two plus two", category="math")
    code = make.make_prompt("write a python function", category="code")
    cheap, dear = {"energy_j": 10.0, "verdict": "correct"}, {"energy_j": 90.0, "verdict": "correct"}
    make.make_responses(
        [
            (math, small, cheap),
            (math, large, dear),
            (code, small, {**cheap, "verdict": "incorrect"}),
            (code, large, dear),
        ]
    )
    if policy is not None:
        PolicyVersion.objects.create(policy=policy)
    store = MemoryStore()
    index = make_index([math, code], embedder=embedder, store=store)
    return Federation(server, small, large, embedder, store, math, code, index)


def judge_more(federation: Federation) -> None:
    """Judge twenty more prompts of each kind: small is right in two thirds of math, large always."""
    small, large = federation.small, federation.large
    more = make.make_known(
        *(
            (text, category, {small: (10.0, verdict), large: (90.0, "correct")})
            for number in range(20)
            for text, category, verdict in (
                (f"what is two plus item{number}", "math", "correct" if number % 3 else "incorrect"),
                (f"write a python item{number}", "code", "incorrect"),
            )
        )
    )
    prompts = [federation.math, federation.code, *more]
    make_index(prompts, embedder=federation.embedder, store=federation.store)
