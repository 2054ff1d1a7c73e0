"""Chroma as one server: two processes that open its folder themselves would read stale neighbours."""

import importlib.util
import sys

from greenllm.embedded.addresses import LOOPBACK, EmbeddedLayout
from greenllm.embedded.errors import EmbeddedError
from greenllm.embedded.probes import http_answers, port_check
from greenllm.embedded.service import Service

_REMEDY = "To use a Chroma server of your own, set CHROMA_URL."
# What the package's own `chroma` script does; that script may lie in a folder that is not on the PATH.
_CHROMA = "import sys; from chromadb.cli.cli import app; sys.argv[0] = 'chroma'; sys.exit(app())"


class ChromaError(EmbeddedError):
    """The embedded Chroma cannot be used."""


def chroma_service(layout: EmbeddedLayout) -> Service:
    """Describe the Chroma server of an installation.

    Raises:
        ChromaError: the package is not installed.
    """
    if importlib.util.find_spec("chromadb") is None:
        raise ChromaError(f"The package chromadb is not installed: pip install it. {_REMEDY}")
    place = ("--path", str(layout.chroma_dir), "--host", LOOPBACK, "--port", str(layout.chroma_port))
    return Service(
        name="chroma",
        argv=(sys.executable, "-c", _CHROMA, "run", *place),
        address=layout.chroma_url,
        log_path=layout.log_dir / "chroma.log",
        is_ready=lambda: http_answers(f"{layout.chroma_url}/api/v2/heartbeat"),
        prepare=port_check(layout.chroma_port, variable="GREENLLM_CHROMA_PORT", service="Chroma"),
        # onnxruntime, which chromadb brings, would otherwise write telemetry files to the home folder.
        env={"ORT_DISABLE_TELEMETRY": "1", "ANONYMIZED_TELEMETRY": "False"},
        remedy=_REMEDY,
    )
