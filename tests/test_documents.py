"""What the documents tell operators to type can be typed: whole blocks are run, each command is read by its program."""

import os
import re
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from django.core.management import CommandParser, get_commands, load_command_class
from psycopg import sql

from greenllm.embedded.addresses import DATABASE_USER
from greenllm.embedded.supervisor import Supervisor

ROOT = Path(__file__).resolve().parent.parent
READ = ("operations", "scale", "security", "services", "measuring-machine", "federation")
_MAKING = re.compile(r"-m (tests[\w.]+)(.*)")
_TESTS = "\n".join(path.read_text(encoding="utf8") for path in (ROOT / "tests").rglob("*.py"))


def blocks(name: str) -> list[str]:
    """Return the blocks of commands of a document: lines that begin with four spaces."""
    text = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf8")
    found = re.findall(r"(?:^    \S.*\n)+", text, re.MULTILINE)
    return [re.sub(r"^    ", "", block, flags=re.MULTILINE) for block in found]


def typed() -> list[str]:
    """Return every command of the documents, from blocks and from sentences."""
    found = set()
    for name in READ:
        lines = [line for block in blocks(name) for line in block.splitlines()]
        text = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf8")
        lines += re.findall(r"`((?:manage\.py|make|systemctl|docker compose) [^`\n]+)`", text)
        for line in lines:
            found.update(part.strip() for part in re.split(r"&&|\s#", line)[: 1 + line.count("&&")])
    return sorted(one for one in found if one)


def words_after(command: str, program: str) -> list[str] | None:
    """Return the words of a command after the program that runs it; None where another one does."""
    found = re.search(rf"(?:^|[ /]){re.escape(program)}(?: |$)", command)
    if found is None or (program == "make" and not command.startswith("make")):
        return None
    return shlex.split(command[found.end() :])


def of(program: str) -> list[list[str]]:
    return [words for one in typed() if (words := words_after(one, program)) is not None]


class TestCommands:
    @pytest.mark.parametrize("words", of("manage.py"), ids=" ".join)
    def test_of_the_product_take_what_stands_there(self, words: list[str]) -> None:
        name, *arguments = words
        assert name in get_commands()
        command = load_command_class(get_commands()[name], name)
        parser: CommandParser = command.create_parser("manage.py", name)
        if any(one.startswith("[") or one in {"APP", "NUMBER"} for one in arguments):
            arguments = ["1" if one == "N]" else one.strip("[]") for one in arguments]
            arguments = ["greenllm", "0008"] if arguments == ["APP", "NUMBER"] else arguments
        if arguments or name not in {"add_model", "apply_federation", "preview_model"}:  # named alone, in a sentence
            parser.parse_args(arguments)

    @pytest.mark.parametrize("name", sorted({words[0] for words in of("manage.py")} - {"collectstatic", "dbshell"}))
    def test_of_the_product_are_run_by_a_test(self, name: str) -> None:
        """Beside Django's `dbshell`, a name for `psql`, and what the documents themselves run below."""
        assert re.search(rf"[\"'/ ]{name}[\"' ]", _TESTS)

    @pytest.mark.parametrize("words", of("make"), ids=" ".join)
    def test_of_make_lead_to_a_program_that_takes_the_options(self, words: list[str]) -> None:
        if words[0] == "-C":  # the installation, run below
            assert words[2] == ".venv/installed"
            return
        done = subprocess.run(
            ["make", "-n", "--old-file=.venv/installed", "--old-file=.venv/installed-dev", "--old-file=.venv/supply",
             *words],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        makefile = (ROOT / "Makefile").read_text(encoding="utf8")
        assert not [word for word in words[1:] if f"$({word.partition('=')[0]})" not in makefile]
        for module, given in _MAKING.findall(done.stdout):
            path = ROOT / module.replace(".", "/")
            source = path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__main__.py"
            text = source.read_text(encoding="utf8")
            assert not [word for word in shlex.split(given) if word.startswith("--") and f'"{word}"' not in text]

    def test_of_systemd_name_units_that_are_given(self) -> None:
        units = {path.name for path in (ROOT / "deploy").rglob("greenllm-*")}
        for verb, *names in of("systemctl"):
            assert verb in {"enable", "disable", "start", "stop", "restart", "reload", "daemon-reload"}
            for name in (one for one in names if not one.startswith("-") and one != "nginx"):
                unit = re.sub(r"@.*", "@", name)
                assert unit in units or f"{unit}.service" in units, name

    def test_know_every_program(self) -> None:
        known = (
            r"(?:runuser -u greenllm -- )?(?:\.venv/bin/python )?manage\.py|make|systemctl|docker compose|git clone"
            r"|ln|cd|install|cp|useradd|groupadd|usermod|set -a|\. |set \+a|nginx -t|export [A-Z]|udevadm"
        )
        assert not [one for one in typed() if not re.match(known, one)]

    @pytest.mark.parametrize("name", READ)
    def test_are_whole_sentences_of_a_shell(self, name: str) -> None:
        for block in blocks(name):
            text = re.sub(r"<[^>]+>", "WORD", block)
            done = subprocess.run(["sh", "-n"], input=text, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr

    def test_export_variables_that_the_settings_tell_of(self) -> None:
        said = (ROOT / "docs" / "settings.md").read_text(encoding="utf8")
        names = {name for one in typed() if one.startswith("export") for name in re.findall(r"([A-Z_]+)=", one)}
        assert len(names) >= 4
        assert not [name for name in names if f"`{name}`" not in said]


# What only root may do to a machine is written down; the rest is done, below a folder of its own.
STUBS = {
    **dict.fromkeys(("useradd", "systemctl", "nginx"), 'echo "$(basename "$0") $*" >> "$TOLD"'),
    "make": 'echo "make $*" >> "$TOLD"; ln -s "$VENV" "$2/.venv"',
    "install": """
told=; is_folder=; mode=
while [ $# -gt 0 ]; do case "$1" in
    -d) is_folder=yes;; -D) ;; -m) mode=$2; shift;; -o|-g) [ "$2" = greenllm ] || [ "$2" = root ]; shift;;
    *) told="$told $1";; esac; shift; done
set -- $told
if [ "$is_folder" ]; then mkdir -p "$@"; else mkdir -p "$(dirname "$2")"; sed "s#=/var#=$PLACE/var#" "$1" > "$2"; fi
for one in "$@"; do :; done; chmod "$mode" "$one"
""",
    "runuser": """
[ "$1 $2 $3" = "-u greenllm --" ]; shift 3
case "$*" in *createsuperuser*) set -- "$@" --noinput;; esac
exec "$@"
""",
}


@pytest.mark.slow
class TestInstalling:
    def test_and_upgrading_as_the_document_tells(self, services: Supervisor, tmp_path: Path) -> None:
        if not (ROOT / ".git").exists():
            pytest.skip("SKIPPED: no repository to clone")
        place, source, told = tmp_path / "place", tmp_path / "source", tmp_path / "told"
        for folder in ("etc/systemd/system", "etc/nginx/conf.d", "safe/place"):
            (place / folder).mkdir(parents=True)
        subprocess.run(["git", "clone", "-q", "--bare", str(ROOT), str(source)], check=True)
        subprocess.run(["git", "-C", str(source), "branch", "NEW", "HEAD"], check=True)
        installing, upgrading = (
            next(block for block in blocks("operations") if words in block) for words in ("useradd", "--branch NEW")
        )
        environment = {
            **self._database(f"documents-{os.getpid()}"),
            "PATH": f"{self._stubs(tmp_path / 'bin')}:{os.environ['PATH']}",
            "TOLD": str(told), "PLACE": str(place), "VENV": str(Path(sys.executable).parent.parent),
            "DJANGO_SUPERUSER_USERNAME": "ada", "DJANGO_SUPERUSER_EMAIL": "ada@example.org",
            "DJANGO_SUPERUSER_PASSWORD": "a long password", "SUDO_USER": "grace",
        }  # fmt: skip
        for block in (installing, upgrading):
            script = re.sub(r"(?<![\w.=])/(?=opt/|var/|etc/|safe/)", f"{place}/", block).replace("SOURCE", str(source))
            done = subprocess.run(
                ["sh", "-eu", "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr
        self._look(place, told.read_text().splitlines(), environment["DATABASE_URL"])

    def _stubs(self, folder: Path) -> Path:
        folder.mkdir()
        for name, script in STUBS.items():
            (folder / name).write_text(f"#!/bin/sh\nset -eu\n{script}\n")
            (folder / name).chmod(0o755)
        return folder

    def _database(self, name: str) -> dict[str, str]:
        """Make an empty database; return where it and the queue are, without what the tests themselves go by."""
        where = settings.EMBEDDED.postgres_socket_dir
        with psycopg.connect(host=str(where), user=DATABASE_USER, dbname="postgres", autocommit=True) as server:
            server.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
            server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("GREENLLM_", "DJANGO_"))}
        address = f"postgresql://{DATABASE_USER}@/{name}?host={where}"
        return {**kept, "DATABASE_URL": address, "REDIS_URL": settings.REDIS_URL, "CHROMA_URL": "http://127.0.0.1:9"}

    def _look(self, place: Path, told: list[str], database: str) -> None:
        assert (place / "opt/greenllm/current").readlink() == Path("b")
        assert stat.S_IMODE((place / "etc/greenllm/environment").stat().st_mode) == 0o640
        assert list((place / "var/cache/greenllm/static/greenllm").glob("style*.css"))
        assert (place / "safe/place/before.backup").stat().st_size > 10_000
        for path in ("etc/systemd/system/greenllm-web@.service", "etc/nginx/greenllm_proxy.conf"):
            assert (place / path).exists()
        stopped, started = "systemctl stop greenllm-web@a", "systemctl start greenllm-web@b"
        assert told.index(started) < told.index(stopped)
        with psycopg.connect(database) as there:
            [(is_superuser,)] = there.execute("SELECT is_superuser FROM greenllm_user WHERE username = 'ada'")
            acts = there.execute("SELECT program, kind, os_user FROM greenllm_adminact WHERE kind = 'ran'").fetchall()
        assert is_superuser
        assert {(program, kind) for program, kind, _ in acts} == {("migrate", "ran"), ("createsuperuser", "ran")}
        assert all(os_user.endswith("(sudo by grace)") for _, _, os_user in acts)
