"""What the set-up says where it cannot work."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def install() -> ModuleType:
    spec = importlib.util.spec_from_file_location("install", ROOT / "tools" / "install.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class TestProblem:
    def test_is_none_where_all_is_well(self, install: ModuleType) -> None:
        assert install.problem(0) is None

    @pytest.mark.parametrize("version", [(3, 6, 15), (3, 10, 13), (3, 14, 0)])
    def test_names_the_python_that_is_needed(
        self, install: ModuleType, monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int]
    ) -> None:
        monkeypatch.setattr(sys, "version_info", version)
        said = install.problem(0)
        assert f"Python {version[0]}.{version[1]} cannot run GreenLLM" in said
        assert "make demo PYTHON=python3.11" in said

    @pytest.mark.parametrize(("system", "machine"), [("darwin", "arm64"), ("linux", "aarch64"), ("win32", "AMD64")])
    def test_names_the_settings_for_other_platforms(
        self, install: ModuleType, monkeypatch: pytest.MonkeyPatch, system: str, machine: str
    ) -> None:
        monkeypatch.setattr(sys, "platform", system)
        monkeypatch.setattr("platform.machine", lambda: machine)
        said = install.problem(0)
        for variable in ("DATABASE_URL", "REDIS_URL", "CHROMA_URL", "OLLAMA_HOST"):
            assert variable in said

    def test_tells_how_much_disk_is_needed(self, install: ModuleType) -> None:
        said = install.problem(10**18)
        assert "GB free" in said
        assert "needs 1000000000.0 GB" in said

    def test_is_read_by_an_old_python(self) -> None:
        source = (ROOT / "tools" / "install.py").read_text(encoding="utf8")
        compile(source, "install.py", "exec", dont_inherit=True)
        assert 'f"' not in source  # a syntax error before 3.6, where no message could be told
        assert ":=" not in source
