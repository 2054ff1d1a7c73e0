from dataclasses import dataclass
from typing import cast

import numpy as np
import pytest

from benchmarks.inference.base import InferenceClient, ModelDescription, PromptTooLong, ServerUnreachable
from benchmarks.inference.scripted_shapes import word_vector
from benchmarks.models import LanguageModel
from router.embedding import Embedder, EmbedderMismatch, WeightsWatch
from tests.router.standins import DIMENSION, ForgetfulClient, NarrowClient, WordClient


def embedder(client: object) -> Embedder:
    return Embedder(LanguageModel(name="all-minilm"), cast(InferenceClient, client))


class TestEmbedder:
    def test_returns_one_unit_vector_a_text_in_order(self) -> None:
        texts = [f"text number {number}" for number in range(3)]
        matrix = embedder(WordClient()).embed(texts)
        assert np.allclose(matrix, [word_vector(text, DIMENSION) for text in texts])
        assert np.allclose(np.linalg.norm(matrix, axis=1), 1.0)

    def test_asks_in_batches_and_tells_how_far_it_is(self) -> None:
        client, told = WordClient(), list[int]()
        matrix = embedder(client).embed([f"word{number}" for number in range(70)], on_progress=told.append)
        assert [len(batch) for batch in client.batches] == [32, 32, 6]
        assert told == [32, 64, 70]
        assert matrix.shape == (70, DIMENSION)

    def test_passes_on_that_the_server_is_away(self) -> None:
        with pytest.raises(ServerUnreachable):
            embedder(WordClient(failure=ServerUnreachable("http://gone", "refused"))).embed(["text"])

    def test_refuses_fewer_vectors_than_texts(self) -> None:
        with pytest.raises(ValueError, match="returned 1 vectors for 2 texts"):
            embedder(ForgetfulClient()).embed(["one", "two"])

    def test_embeds_the_beginning_of_a_text_that_is_too_long(self) -> None:
        client = NarrowClient()
        long = "sum these numbers " * 40
        matrix = embedder(client).embed([long, "short"])
        assert matrix.shape == (2, DIMENSION)
        beginning, short = client.texts
        assert long.startswith(beginning)
        assert client.context / 2 < len(beginning) <= client.context
        assert short == "short"

    def test_gives_up_on_an_embedder_that_takes_next_to_nothing(self) -> None:
        with pytest.raises(PromptTooLong):
            embedder(NarrowClient(context=3)).embed(["word " * 200])


@dataclass
class Listing(WordClient):
    """Tells what weights it has, and counts how often it was asked."""

    digest: str = "one"
    asked: int = 0

    def list_models(self) -> list[ModelDescription]:
        self.asked += 1
        return [ModelDescription("all-minilm:latest", self.digest, None, "bert", "22M", "Q8_0")]


class TestWeightsWatch:
    def watched(self, client: Listing, moments: list[float], digest: str = "one") -> Embedder:
        watch = WeightsWatch(clock=lambda: moments[0])
        return Embedder(LanguageModel(pk=7, name="all-minilm", digest=digest), cast(InferenceClient, client), watch)

    def test_refuses_other_weights_under_the_same_name_within_a_minute(self) -> None:
        client, moments = Listing(), [0.0]
        one = self.watched(client, moments)
        one.embed(["text"])
        client.digest = "other"
        moments[0] = 59.0
        one.embed(["text"])
        moments[0] = 61.0
        with pytest.raises(EmbedderMismatch, match=r"other weights of all-minilm \(other\) .* add_model all-minilm"):
            one.embed(["text"])
        assert client.asked == 2

    @pytest.mark.parametrize(("known", "told"), [("", "one"), ("one", "")], ids=["federation", "server"])
    def test_passes_where_one_side_has_no_digest(self, known: str, told: str) -> None:
        assert len(self.watched(Listing(digest=told), [0.0], digest=known).embed(["text"])) == 1
