import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.served import CLIENTS
from tests.router.endpoint import LIKE_MATH, Endpoint

pytestmark = CLIENTS


def run_llm(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LLM_USER_PATH": str(folder), "LLM_LOAD_PLUGINS": ""}
    command = [sys.executable, "-W", "ignore", "-m", "llm", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def folder(endpoint: Endpoint, address: str, tmp_path: Path) -> Path:
    models = f"- model_id: green\n  model_name: auto\n  api_base: {address}/v1\n  api_key_name: greenllm\n"
    (tmp_path / "extra-openai-models.yaml").write_text(models)
    assert run_llm(tmp_path, "keys", "set", "greenllm", "--value", endpoint.secret).returncode == 0
    return tmp_path


class TestLlm:
    def test_prompts_and_tells_the_tokens(self, folder: Path) -> None:
        run = run_llm(folder, "-m", "green", "--usage", LIKE_MATH)
        assert (run.stdout.strip(), run.returncode) == ("Five.", 0), run.stderr
        assert "5 input, 1 output" in run.stderr

    def test_prompts_without_a_stream(self, folder: Path) -> None:
        assert run_llm(folder, "-m", "green", "--no-stream", LIKE_MATH).stdout.strip() == "Five."

    def test_tells_what_is_wrong_with_a_key(self, folder: Path) -> None:
        run = run_llm(folder, "-m", "green", "--key", "gllm-wrong", LIKE_MATH)
        assert run.returncode == 1
        assert "unknown or was revoked" in run.stderr
