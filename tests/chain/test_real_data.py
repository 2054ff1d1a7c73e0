"""The five data sets of the paper, from their raw files to a routed prompt: embedded, and on a real Ollama."""

import json
from collections.abc import Iterator

import pytest

from greenllm.embedded.llm_server.models import prepare_models, prepared_dir
from tests.chain.installation import START_TIMEOUT_S, Installation, installation
from tests.labeling.shared_data import SHARED
from tests.real_ollama import CHAT_MODEL, RealOllama, real_chat_model, real_ollama

__all__ = ["real_chat_model", "real_ollama"]

RAW, DATABASES = SHARED / "raw", SHARED / "spider_databases"
SMALLER_MODEL = "smollm2:135m-q3_k"
DATASETS = ("mbpp", "gsm8k", "webquestions", "petsql", "wmt18")
ITEMS_EACH = "60"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1500),  # all of a walk is one process, and 30 answers of a busy Ollama take minutes
    pytest.mark.skipif(not RAW.is_dir(), reason=f"the raw files of the data sets are not at {RAW}"),
]


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation on the embedded services, with the five data sets."""
    place = tmp_path_factory.mktemp("real-data") / "var"
    with installation(place, GREENLLM_MACHINE="test-embedded") as made:  # a machine has one sampler at a time
        prepare_models((made.var_dir / "models").resolve())
        made.start("up")
        made.wait_for_log("GreenLLM is at", START_TIMEOUT_S)
        yield made


@pytest.fixture(scope="module")
def on_ollama(
    tmp_path_factory: pytest.TempPathFactory, real_ollama: RealOllama, real_chat_model: str
) -> Iterator[Installation]:
    """An installation whose inference server is a real Ollama."""
    place = tmp_path_factory.mktemp("real-data-ollama") / "var"
    with installation(place, GREENLLM_MACHINE="test-ollama", OLLAMA_HOST=real_ollama.base_url) as made:
        prepare_models((made.var_dir / "models").resolve())
        for name, file in (("all-minilm", "all-minilm"), (SMALLER_MODEL, "smollm2-135m-q3_k")):
            real_ollama.create(name, prepared_dir(made.var_dir / "models") / f"{file}.gguf")
        made.start("up")
        made.wait_for_log("GreenLLM is at", START_TIMEOUT_S)
        yield made


def walk(place: Installation, *, prompts_each: int, num_predict: str) -> dict[str, object]:
    """Import, measure 2 models x 5 categories x some prompts, grade, index, route; return what the route says."""
    prompts = 5 * prompts_each
    imports = [
        ["import_dataset", name, "--from", str(RAW), "--limit", ITEMS_EACH]
        + (["--databases", str(DATABASES)] if name == "petsql" else [])
        for name in DATASETS
    ]
    chosen = [word for name in DATASETS for word in ("--dataset", name)]
    told = place.manage_all(
        *imports,
        *(["add_model", model] for model in ("all-minilm", CHAT_MODEL, SMALLER_MODEL)),
        ["run_study", "five", "--model", CHAT_MODEL, "--model", SMALLER_MODEL, *chosen, "--limit", str(prompts_each),
         "--num-predict", num_predict],
        ["switch_graders", "on", "code", "math", "questions", "sql", "translation", "--confirm"],
        ["grade", "--study", "five", "--accept"],
        *(["add_model", model, "--activate"] for model in (CHAT_MODEL, SMALLER_MODEL)),
        ["build_index", "--study", "five"],
        ["route", "Janet has 16 eggs and sells 7. How many are left?", "--json"],
    )  # fmt: skip
    for name, imported in zip(DATASETS, told, strict=False):
        assert f"{name}: 60 prompts imported" in imported
        assert "Licence: " in imported
    *_, measured, _, graded, _, _, indexed, routed = told
    assert f"five: finished, {2 * prompts} of {2 * prompts} responses" in measured
    assert f"{2 * prompts} answers graded, 0 left to people" in graded
    assert f"{prompts} prompts, 384 numbers" in indexed
    said = json.loads(routed)
    assert isinstance(said, dict)
    return said


class TestEmbedded:
    def test_eats_the_five_data_sets_and_routes(self, embedded: Installation) -> None:
        said = walk(embedded, prompts_each=3, num_predict="48")
        assert said["category"] == "math"
        assert said["choice"] in {CHAT_MODEL, SMALLER_MODEL}

    def test_brings_a_data_set_again_without_doubling_it(self, embedded: Installation) -> None:
        again = embedded.manage("import_dataset", "gsm8k", "--from", str(RAW), "--limit", "61").stdout
        assert "1 prompts imported, 60 were there" in again or "1 prompt imported, 60 were there" in again

    def test_imports_nothing_where_a_database_is_missing(self, embedded: Installation) -> None:
        refused = embedded.manage(
            "import_dataset", "petsql", "--from", str(RAW), "--databases", str(DATABASES), check=False
        )
        assert refused.returncode == 1
        assert "nothing was imported" in refused.stderr
        assert "cre_Students_Information_Systems.sqlite: it is missing" in refused.stderr


@pytest.mark.ollama
class TestRealOllama:
    def test_eats_the_five_data_sets_and_routes(self, on_ollama: Installation) -> None:
        said = walk(on_ollama, prompts_each=1, num_predict="16")
        assert said["category"] == "math"
