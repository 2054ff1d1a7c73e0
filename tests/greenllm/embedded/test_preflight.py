import socket
from pathlib import Path

import pytest

from greenllm.embedded.preflight import (
    DiskFullError,
    UnsupportedPlatformError,
    require_free_disk,
    require_supported_platform,
)
from greenllm.embedded.probes import PortInUseError, port_answers, require_free_port, unix_socket_answers


@pytest.mark.parametrize(("system", "machine"), [("darwin", "arm64"), ("linux", "aarch64"), ("win32", "AMD64")])
def test_other_platforms_are_told_to_bring_their_own_servers(system: str, machine: str) -> None:
    with pytest.raises(UnsupportedPlatformError) as refused:
        require_supported_platform(system, machine)

    for variable in ("DATABASE_URL", "REDIS_URL", "CHROMA_URL", "OLLAMA_HOST"):
        assert variable in str(refused.value)


def test_linux_on_x86_64_is_supported() -> None:
    require_supported_platform("linux", "x86_64")


def test_too_little_disk_is_refused_with_the_folder(tmp_path: Path) -> None:
    require_free_disk(tmp_path, minimum_bytes=1)
    with pytest.raises(DiskFullError, match="GREENLLM_VAR") as refused:
        require_free_disk(tmp_path, minimum_bytes=2**62)

    assert str(tmp_path) in str(refused.value)


def test_a_port_in_use_names_port_holder_and_variable() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]

        with pytest.raises(PortInUseError) as refused:
            require_free_port(port, variable="GREENLLM_CHROMA_PORT", service="Chroma")

        assert port_answers(port)
    text = str(refused.value)
    assert f"Port {port}" in text
    assert "Chroma" in text
    assert "GREENLLM_CHROMA_PORT" in text
    assert "(pid " in text
    assert not port_answers(port)
    require_free_port(port, variable="GREENLLM_CHROMA_PORT", service="Chroma")


def test_a_socket_file_that_nobody_serves_does_not_answer(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        assert unix_socket_answers(path)

    assert path.exists()
    assert not unix_socket_answers(path)
