"""Where the embedded services keep their files and where they listen."""

import hashlib
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from greenllm.embedded.errors import EmbeddedError

DATABASE_USER = "greenllm"
DATABASE_NAME = "greenllm"
LOOPBACK = "127.0.0.1"

# sockaddr_un.sun_path is 108 bytes with its closing NUL; Postgres makes "<socket>.lock" beside its socket.
_SOCKET_PATH_LIMIT_BYTES = 107
_LONGEST_SOCKET_NAME = ".s.PGSQL.5432.lock"


class UnsafeFolderError(EmbeddedError):
    """A folder that must be private belongs to someone else, is a link, or is open to others."""


@dataclass(frozen=True)
class EmbeddedLayout:
    """One installation's folders, sockets and ports; it only computes them and creates nothing."""

    var_dir: Path
    chroma_port: int = 8310
    llm_port: int = 11534

    @property
    def postgres_dir(self) -> Path:
        return self._root / "postgres"

    @property
    def valkey_dir(self) -> Path:
        return self._root / "valkey"

    @property
    def chroma_dir(self) -> Path:
        return self._root / "chroma"

    @property
    def models_dir(self) -> Path:
        return self._root / "models"

    @property
    def log_dir(self) -> Path:
        return self._root / "log"

    @property
    def lock_path(self) -> Path:
        """The file that the running supervisor holds locked; it contains the supervisor's pid."""
        return self._root / "supervisor.lock"

    @property
    def children_lock_path(self) -> Path:
        """The file that stays locked while any data service of an earlier supervisor still lives."""
        return self._root / "children.lock"

    @property
    def state_path(self) -> Path:
        return self._root / "services.json"

    @property
    def socket_dir(self) -> Path:
        """The folder of the unix sockets: `var/run`, or a short private one when that path is too long."""
        inside = self._root / "run"
        longest = len(os.fsencode(inside / _LONGEST_SOCKET_NAME))
        if longest <= _SOCKET_PATH_LIMIT_BYTES:
            return inside
        digest = hashlib.sha256(os.fsencode(self._root)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"greenllm-{os.getuid()}-{digest}"

    @property
    def postgres_socket_dir(self) -> Path:
        return self.socket_dir

    @property
    def valkey_socket(self) -> Path:
        return self.socket_dir / "valkey.sock"

    @property
    def database_url(self) -> str:
        """The address in the form that django-environ reads as HOST = socket folder."""
        return f"postgresql://{DATABASE_USER}@/{quote(str(self.postgres_socket_dir))}/{DATABASE_NAME}"

    @property
    def redis_url(self) -> str:
        return f"unix://{quote(str(self.valkey_socket))}?db=0"

    @property
    def chroma_url(self) -> str:
        return f"http://{LOOPBACK}:{self.chroma_port}"

    @property
    def ollama_host(self) -> str:
        return f"http://{LOOPBACK}:{self.llm_port}"

    @property
    def _root(self) -> Path:
        return self.var_dir.absolute()


def make_private_folder(folder: Path, owner: int) -> None:
    """Create a folder that only `owner` (a user id) can enter, or check that an existing one is such.

    Raises:
        UnsafeFolderError: the path is a symbolic link, no folder, another user's, or open to others.
    """
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        found = folder.lstat()
    else:
        if owner != os.getuid():
            os.chown(folder, owner, owner)
        return
    if not stat.S_ISDIR(found.st_mode):
        raise UnsafeFolderError(f"{folder} is a link or a file, not a folder. Remove it and start again.")
    if found.st_uid != owner:
        raise UnsafeFolderError(
            f"{folder} belongs to user {found.st_uid}, not to user {owner}. "
            "Remove it, or set GREENLLM_VAR to a folder of your own."
        )
    if found.st_mode & 0o077:
        raise UnsafeFolderError(f"{folder} is open to other users. Run: chmod 700 '{folder}'")


def make_folders(layout: EmbeddedLayout, *, socket_owner: int) -> None:
    """Create the folders of an installation; nobody but this user (and `socket_owner`) can enter them.

    Raises:
        UnsafeFolderError: the folder of the sockets is not private.
    """
    layout.lock_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    for folder in (layout.log_dir, layout.valkey_dir, layout.chroma_dir, layout.models_dir):
        folder.mkdir(exist_ok=True, mode=0o700)
    make_private_folder(layout.socket_dir, socket_owner)
