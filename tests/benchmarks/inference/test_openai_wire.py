import base64
import struct

import pytest
from pydantic import ValidationError

from benchmarks.inference.openai_wire import EmbeddingAnswer

BASE64 = base64.b64encode(struct.pack("<3f", 1.0, -0.5, 0.25)).decode()


class TestEmbeddingAnswer:
    @pytest.mark.parametrize("embedding", [[1.0, -0.5, 0.25], BASE64], ids=["numbers", "base64"])
    def test_reads_either_form(self, embedding: object) -> None:
        answer = EmbeddingAnswer.model_validate({"data": [{"index": 0, "embedding": embedding}]})

        assert answer.vectors() == [[1.0, -0.5, 0.25]]

    def test_gives_vectors_in_the_order_of_the_texts(self) -> None:
        items = [{"index": 1, "embedding": [1.0]}, {"index": 0, "embedding": [0.0]}]

        assert EmbeddingAnswer.model_validate({"data": items}).vectors() == [[0.0], [1.0]]

    def test_takes_the_given_order_where_none_is_named(self) -> None:
        items = [{"embedding": [1.0]}, {"embedding": [0.0]}]

        assert EmbeddingAnswer.model_validate({"data": items}).vectors() == [[1.0], [0.0]]

    @pytest.mark.parametrize("embedding", ["no base64!", BASE64[:-4] + "AA==", None, ["a"]])
    def test_refuses_another_form(self, embedding: object) -> None:
        with pytest.raises(ValidationError):
            EmbeddingAnswer.model_validate({"data": [{"index": 0, "embedding": embedding}]})
