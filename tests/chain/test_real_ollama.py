"""The chain with a real Ollama as OLLAMA_HOST: the same code path, another server."""

import json
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from greenllm.embedded.llm_server.models import prepare_models, prepared_dir
from tests.chain.installation import START_TIMEOUT_S, Installation, installation
from tests.real_ollama import CHAT_MODEL, RealOllama, real_chat_model, real_ollama

__all__ = ["real_chat_model", "real_ollama"]

pytestmark = [pytest.mark.slow, pytest.mark.ollama]


@pytest.fixture(scope="module")
def place(
    tmp_path_factory: pytest.TempPathFactory, real_ollama: RealOllama, real_chat_model: str
) -> Iterator[Installation]:
    """An installation whose inference server is a real Ollama with a chat model and an embedder."""
    with installation(tmp_path_factory.mktemp("ollama") / "var", OLLAMA_HOST=real_ollama.base_url) as made:
        prepare_models((made.var_dir / "models").resolve())
        real_ollama.create("all-minilm", prepared_dir(made.var_dir / "models") / "all-minilm.gguf")
        made.start("up")
        made.wait_for_log("GreenLLM is at", START_TIMEOUT_S)
        yield made


class TestRealOllama:
    def test_is_measured_indexed_routed_to_and_answers(self, place: Installation) -> None:
        demo = Path("benchmarks/datasets/demo")
        added, candidate, *_, measured, _, graded, _, indexed, routed, _, key = place.manage_all(
            ["add_model", "all-minilm"],
            ["add_model", CHAT_MODEL],
            ["import_prompts", str(demo / "math.jsonl"), "--dataset", "own", "--category", "math"],
            ["import_prompts", str(demo / "questions.jsonl"), "--dataset", "own", "--category", "questions"],
            ["run_study", "five", "--model", CHAT_MODEL, "--dataset", "own", "--category", "math", "--limit", "5",
             "--num-predict", "24"],
            ["switch_graders", "on", "math", "--confirm"],
            ["grade", "--study", "five", "--accept"],
            ["add_model", CHAT_MODEL, "--activate"],
            ["build_index", "--study", "five"],
            ["route", "Mia has 3 apples and gets 4 more. How many now?", "--json"],
            ["shell", "-c", "from greenllm.models import User; User.objects.create_user('someone')"],
            ["create_key", "someone"],
        )  # fmt: skip
        assert "F16" in added
        assert "Candidate" in candidate
        assert "five: finished, 5 of 5 responses" in measured
        assert "5 answers graded" in graded
        assert "5 prompts, 384 numbers" in indexed
        said = json.loads(routed)
        assert said["choice"] == CHAT_MODEL
        assert said["predicted_sci_gco2e"] > 0
        with openai.OpenAI(base_url=f"{place.address}/v1", api_key=key.strip(), max_retries=0) as client:
            answer = client.chat.completions.create(
                model="auto", messages=[{"role": "user", "content": "What is 2 plus 2?"}], max_tokens=8
            )
        assert answer.model == CHAT_MODEL
        assert answer.choices[0].message.content

    def test_refuses_a_prompt_that_a_real_server_would_cut(self, place: Installation, tmp_path: Path) -> None:
        path = tmp_path / "long.jsonl"
        path.write_text(json.dumps({"id": "long", "prompt": "word " * 400}), encoding="utf8")
        *_, told = place.manage_all(
            ["add_model", CHAT_MODEL],  # unless the test before did
            ["import_prompts", str(path), "--dataset", "long", "--category", "questions"],
            ["run_study", "long", "--model", CHAT_MODEL, "--dataset", "long", "--num-ctx", "64"],
        )
        assert "1 failed" in told

    def test_tells_what_it_has_where_a_model_is_missing(self, place: Installation) -> None:
        refused = place.manage("add_model", "no-such-model", check=False)
        assert refused.returncode == 1
        assert CHAT_MODEL in refused.stderr
