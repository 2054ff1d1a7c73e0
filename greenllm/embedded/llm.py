"""The small LLM server that speaks Ollama's protocol."""

import signal
import sys
from pathlib import Path

from greenllm.embedded.addresses import EmbeddedLayout
from greenllm.embedded.probes import http_answers, port_check
from greenllm.embedded.service import Service

_PROJECT = Path(__file__).resolve().parents[2]


def llm_service(layout: EmbeddedLayout) -> Service:
    """Describe the LLM server of an installation; it answers at once and prepares its models meanwhile."""
    module = "greenllm.embedded.llm_server"
    return Service(
        name="llm",
        argv=(
            sys.executable,
            "-m",
            module,
            "--models",
            str(layout.models_dir),
            "--port",
            str(layout.llm_port),
        ),
        address=layout.ollama_host,
        log_path=layout.log_dir / "llm.log",
        is_ready=lambda: http_answers(f"{layout.ollama_host}/api/version"),
        prepare=port_check(layout.llm_port, variable="GREENLLM_LLM_PORT", service="the LLM server"),
        cwd=_PROJECT,
        # It keeps no data, and SIGTERM would let a running generation end first.
        death_signal=signal.SIGKILL,
        remedy="To use an Ollama of your own, set OLLAMA_HOST.",
    )
