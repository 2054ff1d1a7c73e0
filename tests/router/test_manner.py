import pytest

from benchmarks.inference.base import ChatMessage, GenerationParameters
from router.manner import Manner, MannerRefused, read_manner


class TestReadManner:
    def test_takes_nothing_as_it_stands(self) -> None:
        assert read_manner({}) == Manner()
        assert read_manner({"system_prompt": " ", "temperature": "", "max_output_tokens": " "}).is_plain

    def test_reads_every_field(self) -> None:
        manner = read_manner(
            {
                "system_prompt": "Be\r\nbrief.",
                "temperature": "0,5",
                "top_p": "0.9",
                "seed": "7",
                "max_output_tokens": "20",
            }
        )
        assert manner == Manner("Be\nbrief.", 0.5, 0.9, 7, 20)
        assert manner.parameters == GenerationParameters(seed=7, temperature=0.5, top_p=0.9, num_predict=20)
        assert manner.opening == (ChatMessage("system", "Be\nbrief."),)

    @pytest.mark.parametrize(
        ("field", "value", "said"),
        [
            ("temperature", "hot", "The temperature must be a number from 0 to 2"),
            ("temperature", "nan", "from 0 to 2"),
            ("temperature", "2.1", "from 0 to 2"),
            ("top_p", "-0.1", "Top p must be a number from 0 to 1"),
            ("seed", "-1", "The seed must be a whole number"),
            ("seed", "9" * 30, "The seed must be a whole number"),
            ("max_output_tokens", "0", "The longest answer must be a whole number from 1 to 8,192"),
            ("max_output_tokens", "٣", "The longest answer"),
            ("system_prompt", "x" * 8001, "8,001 characters; at most 8,000"),
            ("system_prompt", "a\x00b", "NUL"),
        ],
    )
    def test_names_the_field_and_the_remedy(self, field: str, value: str, said: str) -> None:
        with pytest.raises(MannerRefused, match=said):
            read_manner({field: value})
