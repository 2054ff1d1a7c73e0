"""Run the server: it answers at once, while a process of low priority makes the models that are missing."""

import argparse
import logging
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import uvicorn

from greenllm.embedded.addresses import LOOPBACK
from greenllm.embedded.llm_server.app import make_app
from greenllm.embedded.llm_server.library import Library
from greenllm.embedded.llm_server.residents import Residents, default_threads, embedder_threads
from greenllm.embedded.spawning import spawn

_PROJECT = Path(__file__).resolve().parents[3]
_SHUTDOWN_S = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve a folder of models until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m greenllm.embedded.llm_server", description=__doc__)
    parser.add_argument("--models", type=Path, required=True, help="folder of the model files")
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1")
    wanted = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        threads, embedding = default_threads(), embedder_threads()
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    wanted.models.mkdir(parents=True, exist_ok=True)
    # From this thread, which lives as long as the server: the kernel ends the child with it.
    preparation = spawn(
        [sys.executable, "-m", "greenllm.embedded.llm_server.models", "--models", str(wanted.models)],
        log_path=wanted.models / "preparation.log",
        death_signal=signal.SIGKILL,
        # numpy would start a thread per core for nothing.
        env={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        cwd=_PROJECT,
    )
    library = Library(wanted.models, is_preparing=lambda: preparation.poll() is None)
    residents = Residents(now=lambda: datetime.now(UTC), default_threads=threads, embedder_threads=embedding)
    try:
        uvicorn.run(
            make_app(library, residents),
            host=LOOPBACK,
            port=wanted.port,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=_SHUTDOWN_S,
        )
    finally:
        preparation.kill()
        preparation.wait()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
