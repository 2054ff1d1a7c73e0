from pathlib import Path

import pytest

from benchmarks.federation_file import FederationFileError, ModelEntry, ServerEntry, read_federation_file

SERVER = '[[servers]]\nname = "lab"\nurl = "http://127.0.0.1:11434"\n'


def read(tmp_path: Path, text: str):
    path = tmp_path / "federation.toml"
    path.write_text(text, encoding="utf8")
    return read_federation_file(path=path, default_machine="here")


def mistakes(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(FederationFileError) as caught:
        read(tmp_path, text)
    return [str(mistake) for mistake in caught.value.mistakes]


class TestReadFederationFile:
    def test_reads_servers_and_models(self, tmp_path: Path) -> None:
        file = read(
            tmp_path,
            '[[servers]]\nname = "gpu"\nkind = "openai"\nurl = "http://gpu:8000/v1"\nmachine = "lab-1"\n'
            'api_key_variable = "GPU_KEY"\n\n'
            '[[models]]\nname = "tiny:1b"\nserver = "gpu"\nstate = "active"\ntask = "code"\n',
        )

        assert file.servers == (ServerEntry(1, "gpu", "openai", "http://gpu:8000", "lab-1", "GPU_KEY"),)
        assert file.models == (ModelEntry(8, "tiny:1b", "gpu", "active", "code"),)

    def test_fills_in_what_may_be_left_out(self, tmp_path: Path) -> None:
        file = read(tmp_path, SERVER + '[[models]]\nname = "tiny:1b"\nserver = "lab"\n')

        assert file.servers == (ServerEntry(1, "lab", "ollama", "http://127.0.0.1:11434", "here", ""),)
        assert file.models == (ModelEntry(4, "tiny:1b", "lab", "candidate", None),)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            pytest.param("", ["servers: the file names none"], id="empty"),
            pytest.param("[[servers]\n", ["file: it is no TOML", "line 1"], id="no TOML"),
            pytest.param('[[servers]]\nurl = "http://a"\n', ["line 1, servers.name: it is missing"], id="no name"),
            pytest.param('[[servers]]\nname = "a"\n', ["line 1, servers.url: it is missing"], id="no address"),
            pytest.param('[[servers]]\nname = "a b"\nurl = "http://a"\n', ["line 2, servers.name: 'a b'"], id="name"),
            pytest.param('[[servers]]\nname = 5\nurl = "http://a"\n', ["line 2, servers.name: 5"], id="a number"),
            pytest.param('[[servers]]\nname = "a"\nurl = "host:80"\n', ["line 3, servers.url: 'host:80'"], id="url"),
            pytest.param(
                '[[servers]]\nname = "a"\nurl = "http://[1"\n', ["line 3, servers.url: 'http://[1'"], id="broken url"
            ),
            pytest.param(SERVER + 'kind = "vllm"\n', ["line 4, servers.kind: 'vllm'", "ollama, openai"], id="kind"),
            pytest.param(SERVER + 'machine = "Big One"\n', ["line 4, servers.machine: 'Big One'"], id="machine"),
            pytest.param(
                SERVER + 'api_key_variable = "sk-123"\n',
                ["line 4, servers.api_key_variable", "never the key"],
                id="key",
            ),
            pytest.param(SERVER + "port = 5\n", ["line 4, servers.port: this key is not known"], id="unknown key"),
            pytest.param(SERVER + "[[routers]]\n", ["line 4, routers: only [[servers]]"], id="unknown table"),
            pytest.param("version = 1\n" + SERVER, ["line 1, version: only [[servers]]"], id="unknown top key"),
            pytest.param(SERVER + "[models]\n", ["models: begin each of them with [[models]]"], id="one table"),
            pytest.param(
                SERVER + SERVER, ["line 4, servers.name: 'lab' is named more", "line 4, servers.url"], id="twice"
            ),
            pytest.param(
                SERVER + '[[models]]\nname = "a"\nserver = "moon"\n',
                ["line 4, models.server: the file names no server 'moon'"],
                id="unknown server",
            ),
            pytest.param(
                SERVER + '[[models]]\nname = "a"\nserver = "lab"\nstate = "retired"\n',
                ["line 7, models.state: 'retired' is not one of: active, candidate"],
                id="state",
            ),
            pytest.param(
                SERVER + 2 * '[[models]]\nname = "a"\nserver = "lab"\n',
                ["line 7, models.name: 'a' is named"],
                id="model twice",
            ),
            pytest.param(
                SERVER + '[[models]]\nname = "a"\nserver = "lab"\n[[models]]\nname = "a:latest"\nserver = "lab"\n',
                ["line 7, models.name: 'a:latest' is named"],
                id="model twice by its tag",
            ),
            pytest.param(
                SERVER + '[[models]]\nname = "a"\nserver = "lab"\ntask = """\none\ntwo"""\n',
                ["line 7, models.task: "],
                id="a task of two lines",
            ),
        ],
    )
    def test_names_the_key_and_the_line(self, tmp_path: Path, text: str, expected: list[str]) -> None:
        found = "\n".join(mistakes(tmp_path, text))

        assert all(part in found for part in expected), found

    def test_names_every_mistake_in_the_order_of_the_lines(self, tmp_path: Path) -> None:
        found = mistakes(tmp_path, '[[models]]\nname = " "\nserver = "lab"\n[[servers]]\nname = "lab"\nurl = "x"\n')

        assert [mistake.split(":")[0] for mistake in found] == ["line 2, models.name", "line 6, servers.url"]

    def test_names_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(FederationFileError, match="cannot be read: No such file"):
            read_federation_file(path=tmp_path / "absent.toml", default_machine="here")

    def test_names_a_file_that_is_no_text(self, tmp_path: Path) -> None:
        path = tmp_path / "federation.toml"
        path.write_bytes(b"\xff\xfe")

        with pytest.raises(FederationFileError, match="not UTF-8"):
            read_federation_file(path=path, default_machine="here")
