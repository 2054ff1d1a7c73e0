import gc
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.inference.demands import ToolCall
from benchmarks.inference.scripted import ScriptedAnswer
from tests.router.conftest import address, endpoint, open_endpoint  # noqa: F401  fixtures
from tests.router.standins import SCRIPTED_MODELS

if TYPE_CHECKING:
    from tests.router.endpoint import Endpoint, OpenEndpoint

_NODE = Path(__file__).parent / "node"
_INSTALL_S = 240


@pytest.fixture(autouse=True)
def _left_open() -> Iterator[None]:
    """Collect within the test the connections that the clients leave open, whose warnings it ignores."""
    yield
    gc.collect()


@pytest.fixture
def able_endpoint(open_endpoint: "OpenEndpoint") -> "Endpoint":  # noqa: F811
    """The endpoint with models that call tools, `add` when asked for a sum, and that answer in JSON else."""
    from tests.router.endpoint import LIKE_MATH

    able = [replace(one, capabilities=(*one.capabilities, "tools")) for one in SCRIPTED_MODELS]
    call = ToolCall("call_1", "add", '{"a":2,"b":3}')

    def script(_model: str, prompt: str) -> ScriptedAnswer:
        return ScriptedAnswer("", tool_calls=(call,)) if prompt == LIKE_MATH else ScriptedAnswer('{"sum":5}')

    return open_endpoint(answers=script, models=able)


@pytest.fixture(scope="session")
def node_packages() -> Path:
    """Where the node clients are installed, as `package-lock.json` pins them."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("no node and npm: the node clients are not tried")
    lock = _NODE / "package-lock.json"
    installed = _NODE / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        run = subprocess.run(command, cwd=_NODE, capture_output=True, text=True, timeout=_INSTALL_S, check=False)
        if run.returncode:
            pytest.skip(f"npm cannot install the node clients: {run.stderr.strip()[-300:]}")
    return _NODE


@pytest.fixture
def run_node(node_packages: Path) -> Callable[..., Any]:
    """Run a script of ours in node with the address and the key of the endpoint; return what it prints as JSON."""

    def run(script: str, *arguments: str) -> Any:
        done = subprocess.run(
            ["node", script, *arguments], cwd=node_packages, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run
