"""The environment of a test run, set before Django reads its settings (pytest loads this by `-p tests.environment`).

Tests keep their data in a folder of their own under /tmp and use free ports, so that a demo may run beside them.
"""

import atexit
import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    """Return a loopback port that nobody uses right now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_environment(var_dir: Path) -> dict[str, str]:
    """Return the variables of an installation of its own in a folder, on free ports."""
    return {
        "GREENLLM_VAR": str(var_dir),
        "GREENLLM_CHROMA_PORT": str(free_port()),
        "GREENLLM_LLM_PORT": str(free_port()),
        "GREENLLM_WEB_PORT": str(free_port()),
        "GREENLLM_MACHINE": "test",
        "GREENLLM_SHARED_MEMORY": str(_shared_memory()),
        "GREENLLM_ANONYMOUS_ACCESS": "off",
        "GREENLLM_DATABASE_POOL": "0",  # tests count the connections of the pages that they serve
        "LOG_LEVEL": "WARNING",
    }


def _shared_memory() -> Path:
    """Return a folder on the tmpfs for the samplers of one installation: in tests several measure at the same time."""
    tmpfs = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="greenllm-test-", dir=tmpfs if tmpfs.is_dir() else None))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def use_prepared_models(var_dir: Path) -> None:
    """Let an installation find the models that another one on this machine has made already."""
    prepared = Path(os.environ.get("GREENLLM_TEST_MODELS_DIR") or ROOT / "var" / "models")
    prepared.mkdir(parents=True, exist_ok=True)
    var_dir.mkdir(parents=True, exist_ok=True)
    (var_dir / "models").symlink_to(prepared, target_is_directory=True)


# Where the environment keeps Python from storing compiled code, each of the many processes of a run would compile all
# modules and tests anew, which takes each of them seconds.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

VAR_DIR = Path(tempfile.mkdtemp(prefix="greenllm-test-"))
os.environ.update(test_environment(VAR_DIR))
for _replaced in ("DATABASE_URL", "REDIS_URL", "CHROMA_URL", "OLLAMA_HOST", "SECRET_KEY"):
    os.environ.pop(_replaced, None)
use_prepared_models(VAR_DIR)
atexit.register(shutil.rmtree, VAR_DIR, ignore_errors=True)
