from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from greenllm.embedded.llm_server.engine import Completion
from greenllm.embedded.llm_server.facts import ModelFacts
from greenllm.embedded.llm_server.library import Library, Model
from greenllm.embedded.llm_server.options import LoadOptions
from greenllm.embedded.llm_server.orders import GenerationOrder
from greenllm.embedded.llm_server.refusals import RequestRefusedError
from greenllm.embedded.llm_server.residents import MOST_RESIDENTS, Residents, default_threads, embedder_threads
from tests.greenllm.embedded.llm_server.gguf_files import write_gguf


class ScriptedEngine:
    def generate(
        self, order: GenerationOrder, on_text: Callable[[str], None], is_cancelled: Callable[[], bool]
    ) -> Completion:
        return Completion("stop", 1, 1, 1, 1)

    def embed(self, text: str, *, truncates: bool) -> tuple[list[float], int]:
        return [1.0], 1


class Room:
    """Residents with a clock and a loader that the test controls."""

    def __init__(self, tmp_path: Path) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.loads: list[tuple[str, int, int]] = []
        self.residents = Residents(lambda: self.now, self.load, default_threads=1, embedder_threads=2)
        self.library = Library(tmp_path, is_preparing=lambda: False)
        self._dir = tmp_path

    def load(self, path: Path, facts: ModelFacts, *, context: int, threads: int) -> ScriptedEngine:
        self.loads.append((path.stem, context, threads))
        return ScriptedEngine()

    def model(self, name: str, context: int = 4096) -> Model:
        write_gguf(self._dir / f"{name}.gguf", context=context)
        return self.library.find(name)

    def use(self, model: Model, keep_alive: timedelta | None = timedelta(minutes=5), **options: int) -> None:
        self.residents.get(model, LoadOptions(**options))
        self.residents.keep(model.name, keep_alive)

    def names(self) -> list[str]:
        return [resident.model.name for resident in self.residents.listed()]


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


class TestResidents:
    def test_loads_a_model_once(self, room: Room) -> None:
        model = room.model("a")

        room.use(model)
        room.use(model)

        assert room.loads == [("a", 2048, 1)]

    def test_gives_an_embedder_threads_of_its_own_unless_it_is_told(self, room: Room, tmp_path: Path) -> None:
        write_gguf(tmp_path / "e.gguf", architecture="bert", pools=True)
        embedder = room.library.find("e")

        room.use(embedder)
        room.use(embedder, threads=1)

        assert [threads for _, _, threads in room.loads] == [2, 1]

    def test_another_context_means_loading_anew(self, room: Room) -> None:
        model = room.model("a")

        room.use(model)
        room.use(model, context=4096)

        assert room.loads == [("a", 2048, 1), ("a", 4096, 1)]
        assert [resident.context for resident in room.residents.listed()] == [4096]

    def test_a_changed_file_means_loading_anew(self, room: Room) -> None:
        room.use(room.model("a"))
        room.use(room.model("a", context=1024))

        assert room.loads == [("a", 2048, 1), ("a", 1024, 1)]

    def test_refuses_more_context_than_the_model_has(self, room: Room) -> None:
        with pytest.raises(RequestRefusedError, match="num_ctx 4097 is more than the 4096"):
            room.use(room.model("a"), context=4097)

        assert room.loads == []

    def test_unloads_when_the_time_is_over(self, room: Room) -> None:
        room.use(room.model("short"), timedelta(seconds=10))
        room.use(room.model("forever"), None)

        room.now += timedelta(seconds=9)
        room.residents.drop_expired()
        assert set(room.names()) == {"short:latest", "forever:latest"}
        room.now += timedelta(seconds=1)
        room.residents.drop_expired()

        assert room.names() == ["forever:latest"]

    def test_keeping_for_no_time_unloads(self, room: Room) -> None:
        room.use(room.model("a"), timedelta(0))

        assert room.names() == []

    def test_the_longest_unused_makes_room(self, room: Room) -> None:
        models = [room.model(f"m{number}") for number in range(MOST_RESIDENTS + 1)]
        for model in models:
            room.now += timedelta(seconds=1)
            room.use(model)

        assert room.names() == [model.name for model in reversed(models[1:])]


class TestDefaultThreads:
    def test_is_half_the_cores_but_at_least_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("GREENLLM_LLM_THREADS", raising=False)
        for cores, threads in ((1, 1), (2, 1), (8, 4)):
            monkeypatch.setattr("os.cpu_count", lambda cores=cores: cores)
            assert default_threads() == threads

    @pytest.mark.parametrize("given", ["0", "100000", "two", "-1"])
    def test_refuses_a_wrong_variable(self, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
        monkeypatch.setenv("GREENLLM_LLM_THREADS", given)

        with pytest.raises(ValueError, match="GREENLLM_LLM_THREADS"):
            default_threads()


class TestEmbedderThreads:
    @pytest.mark.parametrize(("cores", "given", "threads"), [(1, "", 1), (2, "", 2), (8, "", 4), (2, "1", 1)])
    def test_are_two_where_there_are_as_many_cores_and_nobody_says_otherwise(
        self, monkeypatch: pytest.MonkeyPatch, cores: int, given: str, threads: int
    ) -> None:
        monkeypatch.setenv("GREENLLM_LLM_THREADS", given)
        monkeypatch.setattr("os.cpu_count", lambda: cores)
        assert embedder_threads() == threads
