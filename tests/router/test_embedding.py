from typing import cast

import numpy as np
import pytest

from benchmarks.inference.base import InferenceClient, PromptTooLong, ServerUnreachable
from benchmarks.inference.scripted_shapes import word_vector
from benchmarks.models import LanguageModel
from router.embedding import Embedder
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
