import base64
import json
import struct
from typing import Any

import pytest

from router.wires.embeddings import EmbeddingsRequest, embeddings_answer, parse_embeddings_request
from router.wires.fields import WireError


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "auto", "input": "a", **fields}).encode()


class TestRequest:
    def test_has_its_texts(self) -> None:
        assert parse_embeddings_request(body(user="x")) == EmbeddingsRequest("auto", ("a",), is_base64=False)
        asked = parse_embeddings_request(body(input=["a", "b"], encoding_format="base64"))
        assert asked == EmbeddingsRequest("auto", ("a", "b"), is_base64=True)

    @pytest.mark.parametrize(
        ("fields", "param", "code"),
        [
            pytest.param({"input": None}, "input", None, id="none"),
            pytest.param({"input": []}, "input", None, id="empty list"),
            pytest.param({"input": ["a", " "]}, "input", None, id="blank"),
            pytest.param({"input": ["a"] * 2049}, "input", None, id="too many"),
            pytest.param({"input": [[1, 2]]}, "input", "unsupported_parameter", id="tokens"),
            pytest.param({"encoding_format": "hex"}, "encoding_format", None, id="format"),
            pytest.param({"dimensions": 64}, "dimensions", "unsupported_parameter", id="dimensions"),
        ],
    )
    def test_of_what_is_wrong_names_the_field(self, fields: dict[str, Any], param: str, code: str | None) -> None:
        with pytest.raises(WireError) as caught:
            parse_embeddings_request(body(**fields))
        assert (caught.value.param, caught.value.code) == (param, code)


class TestAnswer:
    def test_has_numbers(self) -> None:
        answer = embeddings_answer(model="m", vectors=[[0.5, -2.0]], prompt_token_count=None, is_base64=False)
        assert answer == {
            "object": "list",
            "model": "m",
            "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -2.0]}],
            "usage": {"prompt_tokens": 0, "total_tokens": 0},
        }

    def test_has_little_endian_floats_as_base64(self) -> None:
        answer = embeddings_answer(model="m", vectors=[[0.5, -2.0]], prompt_token_count=3, is_base64=True)
        packed = base64.b64decode(answer["data"][0]["embedding"])
        assert struct.unpack("<2f", packed) == (0.5, -2.0)
        assert answer["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
