import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

import environ
import pytest

from greenllm.embedded.addresses import (
    EmbeddedLayout,
    UnsafeFolderError,
    make_folders,
    make_private_folder,
)

DEEP = Path("/srv") / ("a-very-long-folder-name" * 5) / "var"


class TestEmbeddedLayout:
    @pytest.mark.parametrize("var_dir", ["/srv/greenllm/var", "/srv/Mixed Case/100%/a+b"])
    def test_database_url_is_read_as_socket_folder(self, var_dir: str) -> None:
        layout = EmbeddedLayout(Path(var_dir))

        parsed = environ.Env.db_url_config(layout.database_url)

        assert parsed["ENGINE"] == "django.db.backends.postgresql"
        assert (parsed["NAME"], parsed["USER"], parsed["PASSWORD"]) == ("greenllm", "greenllm", "")
        assert parsed["HOST"] == str(layout.postgres_socket_dir)

    @pytest.mark.parametrize("var_dir", ["/srv/greenllm/var", "/srv/Mixed Case/100%/a+b"])
    def test_redis_url_is_a_socket_path(self, var_dir: str) -> None:
        layout = EmbeddedLayout(Path(var_dir))

        parts = urlsplit(layout.redis_url)

        assert (parts.scheme, unquote(parts.path), parts.query) == (
            "unix",
            str(layout.valkey_socket),
            "db=0",
        )

    def test_http_addresses_name_loopback_and_port(self) -> None:
        layout = EmbeddedLayout(Path("/srv"), chroma_port=1234, llm_port=4321)

        assert layout.chroma_url == "http://127.0.0.1:1234"
        assert layout.ollama_host == "http://127.0.0.1:4321"

    def test_sockets_lie_inside_when_the_path_is_short(self) -> None:
        assert EmbeddedLayout(Path("/srv/var")).socket_dir == Path("/srv/var/run")

    def test_sockets_move_to_a_short_folder_when_the_path_is_long(self) -> None:
        layout = EmbeddedLayout(DEEP)

        assert len(os.fsencode(layout.postgres_socket_dir / ".s.PGSQL.5432.lock")) <= 107
        assert len(os.fsencode(layout.valkey_socket)) <= 107
        assert layout.socket_dir != EmbeddedLayout(DEEP / "other").socket_dir

    def test_computing_creates_nothing(self, tmp_path: Path) -> None:
        layout = EmbeddedLayout(tmp_path / "var")

        assert layout.socket_dir
        assert layout.database_url
        assert list(tmp_path.iterdir()) == []


class TestMakePrivateFolder:
    def test_makes_a_folder_for_its_owner_only(self, tmp_path: Path) -> None:
        folder = tmp_path / "run"

        make_private_folder(folder, os.getuid())
        make_private_folder(folder, os.getuid())

        assert folder.stat().st_mode & 0o777 == 0o700

    def test_refuses_a_planted_link(self, tmp_path: Path) -> None:
        target = tmp_path / "elsewhere"
        target.mkdir(mode=0o700)
        (tmp_path / "run").symlink_to(target)

        with pytest.raises(UnsafeFolderError, match="is a link"):
            make_private_folder(tmp_path / "run", os.getuid())

    def test_refuses_another_users_folder(self, tmp_path: Path) -> None:
        (tmp_path / "run").mkdir(mode=0o700)

        with pytest.raises(UnsafeFolderError, match="belongs to user"):
            make_private_folder(tmp_path / "run", os.getuid() + 1)

    def test_refuses_a_folder_open_to_others(self, tmp_path: Path) -> None:
        (tmp_path / "run").mkdir()
        (tmp_path / "run").chmod(0o750)

        with pytest.raises(UnsafeFolderError, match="chmod 700"):
            make_private_folder(tmp_path / "run", os.getuid())


def test_folders_with_data_are_private(tmp_path: Path) -> None:
    layout = EmbeddedLayout(tmp_path / "var")

    make_folders(layout, socket_owner=os.getuid())

    for folder in (layout.var_dir, layout.valkey_dir, layout.chroma_dir, layout.log_dir, layout.socket_dir):
        assert folder.stat().st_mode & 0o777 == 0o700
