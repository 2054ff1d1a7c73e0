"""What is given to operators under `deploy/` is read by the programs that it is for, where they are here."""

import configparser
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import uvicorn
import yaml
from django.conf import settings
from django.core.management import get_commands
from uvicorn.importer import import_from_string

from greenllm.lingering import LingeringProtocol
from router.wires.fields import MAX_BODY_BYTES

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
UNITS = sorted([*DEPLOY.rglob("*.service"), *DEPLOY.rglob("*.socket")])
PYTHON = re.compile(r"(?:/usr/bin/env )?/opt/greenllm/(?:%i|current)/\.venv/bin/python ")


def needs(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"SKIPPED: no {program} here")
    return path


def arguments_of_python() -> list[list[str]]:
    """Return what the units and the compose file have Python run."""
    text = "\n".join(one.read_text() for one in UNITS)
    units = re.findall(rf"^ExecStart={PYTHON.pattern}(.*)$", text, re.MULTILINE)
    services = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())["services"]
    composed = [one["command"] for one in services.values() if one.get("image") == "greenllm"]
    return [*(shlex.split(line) for line in units), *composed]


class TestUnits:
    def test_are_verified_by_systemd(self, tmp_path: Path) -> None:
        analyze = needs("systemd-analyze")
        for unit in UNITS:
            text = PYTHON.sub(f"{sys.executable} ", unit.read_text())
            (tmp_path / unit.name).write_text(text)
        done = subprocess.run(
            [analyze, "verify", *(str(tmp_path / unit.name) for unit in UNITS)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout + done.stderr) == (0, "")

    def test_let_a_process_end_its_streams_before_they_kill_it(self) -> None:
        unit = configparser.ConfigParser(strict=False, interpolation=None)
        unit.optionxform = str
        unit.read(DEPLOY / "systemd" / "greenllm-web@.service")
        service = unit["Service"]
        graceful = re.search(r"--timeout-graceful-shutdown (\d+)", service["ExecStart"])
        assert graceful is not None
        assert int(service["TimeoutStopSec"]) > int(graceful[1])
        assert service["Sockets"] == "greenllm-web.socket"


class TestCommands:
    @pytest.mark.slow
    def test_are_those_of_the_product(self) -> None:
        found = arguments_of_python()
        assert len(found) == 6
        for first, *rest in found:
            if first == "manage.py":
                assert rest[0] in get_commands()
            elif rest[0] == "uvicorn":
                context = uvicorn.main.make_context("uvicorn", rest[1:])  # refuses an option that there is not
                assert context.params["app"] == "greenllm.asgi:application"
                assert context.params["timeout_graceful_shutdown"] == 1800
                assert context.params["timeout_keep_alive"] > 60  # of nginx and of pools of connections, as a rule
                assert import_from_string(context.params["http"]) is LingeringProtocol
            else:
                assert rest[0] == "greenllm.embedded.control"
                done = subprocess.run([sys.executable, "-m", *rest[:2], "--help"], capture_output=True, check=False)
                assert done.returncode == 0
                assert rest[2].encode() in done.stdout

    def test_of_the_shell_can_be_read(self) -> None:
        subprocess.run(["sh", "-n", str(DEPLOY / "measuring-machine" / "quiet")], check=True)


class TestEnvironment:
    def test_has_variables_that_the_settings_tell_of(self) -> None:
        names = re.findall(r"^#?([A-Z_]+)=", (DEPLOY / "systemd" / "environment").read_text(), re.MULTILINE)
        composed = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())["x-greenllm"]["environment"]
        said = (ROOT / "docs" / "settings.md").read_text(encoding="utf8")
        assert len(names) > 8
        assert not [name for name in [*names, *composed] if f"`{name}`" not in said]


def composing() -> list[str]:
    """Return how Compose is called here: as Docker's own command, or as Debian's of that name; else skip the test."""
    for command in (["docker", "compose"], ["docker-compose"]):
        found = shutil.which(command[0])
        if found and not subprocess.run([*command, "version"], capture_output=True, check=False).returncode:
            return [found, *command[1:]]
    pytest.skip("SKIPPED: neither docker compose nor docker-compose is here")


class TestCompose:
    def test_is_read_by_docker(self) -> None:
        done = subprocess.run(
            [*composing(), "-f", str(DEPLOY / "compose" / "compose.yaml"), "config", "--quiet"],
            env={"PATH": "/usr/bin:/bin", "POSTGRES_PASSWORD": "a", "SECRET_KEY": "b"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")

    def test_names_what_it_uses(self) -> None:
        composed = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
        for name, service in composed["services"].items():
            assert set(service.get("depends_on", ())) <= set(composed["services"]), name
            volumes = {volume.partition(":")[0] for volume in service.get("volumes", ())}
            assert volumes <= set(composed["volumes"]), name
        locked = (ROOT / "requirements.lock").read_text(encoding="utf8")
        chroma = composed["services"]["chroma"]["image"].rpartition(":")[2]
        assert f"chromadb=={chroma} " in locked


class TestProxy:
    @pytest.mark.slow
    def test_is_read_by_nginx(self, tmp_path: Path) -> None:
        nginx = needs("nginx")
        openssl = needs("openssl")
        key, certificate = tmp_path / "key.pem", tmp_path / "chain.pem"
        subprocess.run(
            [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=a",
             "-keyout", str(key), "-out", str(certificate)],
            check=True, capture_output=True,
        )  # fmt: skip
        text = (DEPLOY / "nginx" / "greenllm.conf").read_text()
        text = text.replace("/etc/ssl/greenllm/fullchain.pem", str(certificate))
        text = text.replace("/etc/ssl/greenllm/privkey.pem", str(key)).replace("/etc/nginx/", f"{DEPLOY}/nginx/")
        whole = tmp_path / "nginx.conf"
        whole.write_text(f"pid {tmp_path}/pid;\nevents {{}}\nhttp {{\n{text}\n}}\n")
        done = subprocess.run([nginx, "-t", "-c", str(whole)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def test_passes_streams_on_and_is_whole(self) -> None:
        for path in (DEPLOY / "nginx").iterdir():
            lines = [line.partition("#")[0].strip() for line in path.read_text().splitlines()]
            assert all(line.endswith((";", "{", "}")) for line in lines if line), path
            assert "".join(lines).count("{") == "".join(lines).count("}")
        shared = (DEPLOY / "nginx" / "greenllm_proxy.conf").read_text()
        assert "proxy_buffering off;" in shared
        assert "proxy_set_header X-Forwarded-Proto $scheme;" in shared  # what GREENLLM_HTTPS goes by
        whole = (DEPLOY / "nginx" / "greenllm.conf").read_text()
        assert whole.count("proxy_pass http://greenllm;") == whole.count("include /etc/nginx/greenllm_proxy.conf;") == 3
        listened = re.search(r"ListenStream=(\S+)", (DEPLOY / "systemd" / "greenllm-web.socket").read_text())
        assert listened is not None
        assert f"server unix:{listened[1]};" in whole

    def test_lets_as_large_a_body_through_as_each_page_takes_and_no_larger(self) -> None:
        whole = (DEPLOY / "nginx" / "greenllm.conf").read_text()
        larger = dict(re.findall(r"location = (\S+) {\s+client_max_body_size (\d+)m;", whole))
        assert larger == {path: str(size_mb) for path, size_mb in settings.UPLOAD_PAGES_MB.items()}
        everywhere = re.search(r"^    client_max_body_size (\d+)m;", whole, re.MULTILINE)
        assert everywhere is not None
        assert int(everywhere[1]) * 1024 * 1024 == MAX_BODY_BYTES == settings.DATA_UPLOAD_MAX_MEMORY_SIZE


class TestDocuments:
    def test_tell_of_every_file(self) -> None:
        said = (ROOT / "docs" / "operations.md").read_text(encoding="utf8")
        names = [str(path.relative_to(ROOT)) for path in DEPLOY.rglob("*") if path.is_file()]
        assert not [name for name in names if f"`{name}`" not in said]
