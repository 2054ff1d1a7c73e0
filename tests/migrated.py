"""The Postgres cluster of the test processes: its database is migrated once and copied from then on.

To make a cluster and run every migration takes a process about 6 s. The first one keeps what it made, and later ones
copy that for as long as all that the migrations are made of stays as it was. That they run from nothing, and back,
is the matter of `tests/benchmarks/test_migrations.py`.
"""

import ast
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from django.db import connection
from psycopg.conninfo import make_conninfo

from greenllm.embedded.addresses import DATABASE_NAME, DATABASE_USER, EmbeddedLayout
from greenllm.embedded.catalog import embedded_services
from greenllm.embedded.supervisor import Supervisor
from tests.environment import ROOT

PACKAGES = ("greenllm", "benchmarks", "labeling", "router")
# beside the migrations and whatever they import: which apps there are, how a cluster is made, in which versions
ALSO = (
    "greenllm/settings.py", "greenllm/embedded/postgres.py", "greenllm/embedded/addresses.py", "requirements.lock",
    "tests/migrated.py",
)  # fmt: skip

# the cluster need not outlive the machine, and is quicker to copy without a stock of logs
_SPARING = ("fsync = off", "full_page_writes = off", "wal_recycle = off", "min_wal_size = '32MB'")


def put_cluster(layout: EmbeddedLayout, kept: Path) -> None:
    """Give an installation without one a cluster with the migrated test database; `kept` is where one is kept."""
    kept.mkdir(parents=True, exist_ok=True)
    with _alone_in(kept):
        cluster = kept / digest_of(ROOT)
        if not cluster.exists():
            _make(layout)
            for former in kept.iterdir():
                if former.is_dir():
                    shutil.rmtree(former)
            unfinished = kept / "unfinished"
            _copy(layout.postgres_dir, unfinished)
            os.sync()  # it shall be whole, or not there, also after the machine has failed
            unfinished.rename(cluster)
        else:
            _copy(cluster, layout.postgres_dir)


def migration_sources(root: Path) -> list[Path]:
    """Return the files of every migration, and of the modules of ours that they import, over however many others."""
    left = [path for package in PACKAGES for path in (root / package).glob("migrations/*.py")]
    found = set[Path]()
    while left:
        path = left.pop()
        if path not in found:
            found.add(path)
            left += _imported(root, path)
    return sorted(found)


def _imported(root: Path, path: Path) -> Iterator[Path]:
    for name in _named(ast.parse(path.read_bytes())):
        if name.split(".")[0] in PACKAGES:
            module = root.joinpath(*name.split("."))
            yield from (file for file in (module.with_suffix(".py"), module / "__init__.py") if file.exists())


def _named(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{one.name}" for one in node.names)


def digest_of(root: Path) -> str:
    """Return a name of all that the cluster is made of."""
    digest = hashlib.sha256(sys.version.encode())
    for path in (*migration_sources(root), *(root / name for name in ALSO)):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root)} {len(content)} ".encode() + content)
    return digest.hexdigest()[:32]


def _make(layout: EmbeddedLayout) -> None:
    """Make the cluster in its place, with the test database as pytest-django would have it made."""
    with Supervisor(layout, embedded_services(layout, ["postgres"])):
        where = make_conninfo(host=str(layout.postgres_socket_dir), user=DATABASE_USER, dbname=DATABASE_NAME)
        with psycopg.connect(where, autocommit=True) as opened:
            for setting in _SPARING:
                opened.execute(f"ALTER SYSTEM SET {setting}")
            opened.execute("SELECT pg_reload_conf()")
        name = connection.settings_dict["NAME"]
        connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
        connection.creation.destroy_test_db(name, verbosity=0, keepdb=True)  # names the settings' own database again
        connection.close()


def _copy(cluster: Path, to: Path) -> None:
    shutil.rmtree(to, ignore_errors=True)
    subprocess.run(["cp", "-a", "--reflink=auto", cluster, to], check=True)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Wait until no other process makes or copies a cluster."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
