import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenllm.embedded import control
from greenllm.embedded.addresses import EmbeddedLayout
from greenllm.embedded.errors import EmbeddedError


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[EmbeddedLayout]:
    """A fresh installation; whatever runs in it is stopped at the end."""
    made = EmbeddedLayout(tmp_path / "var", chroma_port=free_port(), llm_port=free_port())
    yield made
    try:
        control.stop_detached(made)
    except EmbeddedError as error:
        pytest.fail(str(error))
