"""Checks before anything is started."""

import platform
import shutil
import sys
from pathlib import Path

from greenllm.embedded.errors import EmbeddedError

MINIMUM_FREE_BYTES = 2 * 1024**3


class UnsupportedPlatformError(EmbeddedError):
    """The wheels with the servers exist for Linux on x86-64 only."""


class DiskFullError(EmbeddedError):
    """Too little space is free for databases and models."""


def require_supported_platform(system: str = sys.platform, machine: str | None = None) -> None:
    """Check that the embedded servers can run here.

    Raises:
        UnsupportedPlatformError: another system or processor.
    """
    processor = platform.machine() if machine is None else machine
    if system == "linux" and processor.lower() in {"x86_64", "amd64"}:
        return
    raise UnsupportedPlatformError(
        f"The embedded services run on Linux x86-64 only, and this is {system} {processor}. "
        "Run Postgres, Redis, Chroma and Ollama yourself and set DATABASE_URL, REDIS_URL, CHROMA_URL and "
        "OLLAMA_HOST to their addresses."
    )


def require_free_disk(folder: Path, minimum_bytes: int = MINIMUM_FREE_BYTES) -> None:
    """Check that enough space is free where the services keep their data.

    Raises:
        DiskFullError: less than `minimum_bytes` are free.
    """
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < minimum_bytes:
        raise DiskFullError(
            f"Only {free_bytes / 1024**3:.1f} GiB are free in {folder}; the services need "
            f"{minimum_bytes / 1024**3:.1f} GiB. Free some, or set GREENLLM_VAR to a folder on another disk."
        )
