import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from greenllm import env

NAME = "GREENLLM_TEST_SETTING"


def read(monkeypatch: pytest.MonkeyPatch, reader: Callable[[], Any], value: str | None) -> Any:
    if value is None:
        monkeypatch.delenv(NAME, raising=False)
    else:
        monkeypatch.setenv(NAME, value)
    return reader()


READERS: dict[str, Callable[[], Any]] = {
    "text": lambda: env.text(NAME, "default"),
    "flag": lambda: env.flag(NAME, default=True),
    "whole_number": lambda: env.whole_number(NAME, 5, minimum=1, maximum=9),
    "decimal_number": lambda: env.decimal_number(NAME, 5.5, minimum=0.1),
    "one_of": lambda: env.one_of(NAME, "red", ["red", "green"]),
    "words": lambda: env.words(NAME, ["a", "b"]),
    "networks": lambda: env.networks(NAME, ["loopback"]),
    "origins": lambda: env.origins(NAME, []),
    "http_address": lambda: env.http_address(NAME, "http://127.0.0.1:11434"),
    "database": lambda: env.database(NAME, "postgresql://me@/%2Frun/name")["NAME"],
}


class TestFolder:
    def test_is_none_where_the_variable_is_unset_or_empty(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert read(monkeypatch, lambda: env.folder(NAME), None) is None
        assert read(monkeypatch, lambda: env.folder(NAME), "") is None
        assert NAME not in os.environ

    def test_is_made_where_it_is_missing(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        wanted = tmp_path / "a" / "b"
        assert [read(monkeypatch, lambda: env.folder(NAME), str(wanted)) for _ in range(2)] == [wanted, wanted]
        assert wanted.is_dir()

    def test_stops_the_start_where_it_is_none(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(ImproperlyConfigured, match=NAME):
            read(monkeypatch, lambda: env.folder(NAME), str(tmp_path / "file"))


class TestReading:
    @pytest.mark.parametrize(
        ("reader", "value", "expected"),
        [
            pytest.param("text", None, "default", id="text: unset"),
            pytest.param("text", "", "default", id="text: empty"),
            pytest.param("text", " x ", " x ", id="text: as it is"),
            pytest.param("flag", None, True, id="flag: unset"),
            pytest.param("flag", "", True, id="flag: empty"),
            pytest.param("flag", "Off", False, id="flag: off"),
            pytest.param("flag", "0", False, id="flag: 0"),
            pytest.param("flag", " TRUE ", True, id="flag: true"),
            pytest.param("whole_number", None, 5, id="whole number: unset"),
            pytest.param("whole_number", "1", 1, id="whole number: least"),
            pytest.param("whole_number", "9", 9, id="whole number: most"),
            pytest.param("decimal_number", None, 5.5, id="decimal: unset"),
            pytest.param("decimal_number", "0.1", 0.1, id="decimal: least"),
            pytest.param("decimal_number", "1e3", 1000.0, id="decimal: exponent"),
            pytest.param("one_of", "green", "green", id="one of"),
            pytest.param("words", None, ["a", "b"], id="words: unset"),
            pytest.param("origins", None, [], id="origins: unset"),
            pytest.param("origins", "*, http://localhost:3000", ["*", "http://localhost:3000"], id="origins: several"),
            pytest.param("words", " x ,, y,", ["x", "y"], id="words: blanks"),
            pytest.param("database", "postgres://u:p@db.example:5433/green", "green", id="database: another name"),
            pytest.param("database", None, "name", id="database: unset"),
        ],
    )
    def test_gives_the_value(
        self, monkeypatch: pytest.MonkeyPatch, reader: str, value: str | None, expected: Any
    ) -> None:
        assert read(monkeypatch, READERS[reader], value) == expected

    @pytest.mark.parametrize(
        ("reader", "value"),
        [
            ("flag", "maybe"),
            ("flag", "2"),
            ("whole_number", "0"),
            ("whole_number", "10"),
            ("whole_number", "5.0"),
            ("whole_number", "five"),
            ("decimal_number", "0"),
            ("decimal_number", "nan"),
            ("decimal_number", "inf"),
            ("decimal_number", "fast"),
            ("one_of", "blue"),
            ("one_of", "Red"),
            ("database", "sqlite:///file.db"),
            ("database", "mysql://u@h/db"),
            ("database", "nonsense"),
            ("database", "postgresql://u:p@host:port/db"),
            ("database", "postgresql://u:p@[::1/db"),
            ("networks", "lan"),
            ("networks", "10.0.0.5/8"),
            ("origins", "app.example.org"),
            ("origins", "https://app.example.org/"),
            ("origins", "https://App.example.org"),
            ("origins", "https://user@app.example.org"),
            ("origins", "null"),
            ("http_address", "ftp://host"),
            ("http_address", "http://"),
            ("http_address", "unix:///run/x.sock"),
            ("http_address", "http://host:port"),
            ("http_address", "http://host:99999"),
            ("http_address", "http://[::1"),
            ("http_address", "host name"),
        ],
    )
    def test_stops_at_a_wrong_value_with_its_name(
        self, monkeypatch: pytest.MonkeyPatch, reader: str, value: str
    ) -> None:
        with pytest.raises(ImproperlyConfigured, match=NAME):
            read(monkeypatch, READERS[reader], value)


class TestDatabase:
    def test_of_an_address_has_each_part(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(NAME, "postgresql://u:p%40ss@db.example:5433/green")
        found = env.database(NAME, "")
        assert found["ENGINE"] == "django.db.backends.postgresql"
        assert [found[part] for part in ("USER", "PASSWORD", "HOST", "PORT", "NAME")] == [
            "u",
            "p@ss",
            "db.example",
            5433,
            "green",
        ]

    def test_of_a_socket_has_its_folder_as_host(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(NAME, raising=False)
        assert env.database(NAME, "postgresql://me@/%2Frun%2Fgreen/name")["HOST"] == "/run/green"


class TestOllamaHost:
    """The forms that Ollama's own clients take: docs of Ollama, envconfig/config.go."""

    @pytest.mark.parametrize(
        ("value", "address"),
        [
            pytest.param(None, "http://127.0.0.1:11434", id="unset"),
            pytest.param("http://gpu.example:1234", "http://gpu.example:1234", id="whole"),
            pytest.param("http://gpu.example:1234/", "http://gpu.example:1234", id="slash"),
            pytest.param("https://gpu.example", "https://gpu.example", id="https"),
            pytest.param("http://gpu.example", "http://gpu.example", id="http without a port"),
            pytest.param("gpu.example:1234", "http://gpu.example:1234", id="host and port"),
            pytest.param("gpu.example", "http://gpu.example:11434", id="host alone"),
            pytest.param("127.0.0.1", "http://127.0.0.1:11434", id="address alone"),
            pytest.param("0.0.0.0", "http://127.0.0.1:11434", id="any address"),
            pytest.param("0.0.0.0:1234", "http://127.0.0.1:1234", id="any address and port"),
            pytest.param(":1234", "http://127.0.0.1:1234", id="port alone"),
            pytest.param("[::1]:1234", "http://[::1]:1234", id="IPv6"),
            pytest.param("http://me:pw@gpu.example:1", "http://me:pw@gpu.example:1", id="name and password"),
            pytest.param("http://gpu.example/path", "http://gpu.example/path", id="path"),
        ],
    )
    def test_may_be_short(self, monkeypatch: pytest.MonkeyPatch, value: str | None, address: str) -> None:
        def reader() -> str:
            return env.http_address(NAME, "http://127.0.0.1:11434", default_port=11434)

        assert read(monkeypatch, reader, value) == address


class TestSecretKey:
    def test_is_made_once_and_stays(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.delenv(NAME, raising=False)
        path = tmp_path / "new" / "secret-key"
        secret = env.secret_key(NAME, path)
        assert len(secret) >= 50
        assert env.secret_key(NAME, path) == secret
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert [found.name for found in path.parent.iterdir()] == ["secret-key"]

    def test_is_another_one_in_another_folder(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.delenv(NAME, raising=False)
        assert env.secret_key(NAME, tmp_path / "a") != env.secret_key(NAME, tmp_path / "b")

    def test_is_private_whatever_the_umask(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.delenv(NAME, raising=False)
        before = os.umask(0)
        try:
            env.secret_key(NAME, tmp_path / "secret-key")
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "secret-key").stat().st_mode) == 0o600

    def test_comes_from_the_variable_where_set(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv(NAME, "given")
        assert env.secret_key(NAME, tmp_path / "secret-key") == "given"

    def test_is_never_the_one_of_an_example(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv(NAME, "change-me-to-50-random-characters")
        with pytest.raises(ImproperlyConfigured, match="which everybody knows"):
            env.secret_key(NAME, tmp_path / "secret-key")
        assert list(tmp_path.iterdir()) == []
