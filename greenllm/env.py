"""Read settings from the environment through typed helpers: a wrong value stops the start with its name."""

import contextlib
import math
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from benchmarks.reach import Network, networks_named

_THIS_MACHINE = "127.0.0.1"
_ANY_ADDRESS = {"0.0.0.0", "::"}  # noqa: S104  read, never listened on
_env = environ.Env()


def text(name: str, default: str) -> str:
    """Return the variable, or the default when it is unset or empty."""
    return os.environ.get(name) or default


def flag(name: str, default: bool) -> bool:
    """Return a yes/no variable.

    Raises:
        ImproperlyConfigured: the value is neither of the usual words for yes and no.
    """
    raw = text(name, "yes" if default else "no").strip().lower()
    if raw in {"1", "true", "yes", "on"}:
        return True
    if raw in {"0", "false", "no", "off"}:
        return False
    raise ImproperlyConfigured(f"{name}={raw!r} is neither yes nor no. Set it to 'yes' or 'no'.")


def whole_number(name: str, default: int, *, minimum: int, maximum: int) -> int:
    """Return a whole number within its bounds.

    Raises:
        ImproperlyConfigured: not a whole number, or out of bounds.
    """
    raw = text(name, str(default))
    try:
        number = int(raw)
    except ValueError:
        number = minimum - 1
    if not minimum <= number <= maximum:
        raise ImproperlyConfigured(f"{name}={raw!r} must be a whole number from {minimum} to {maximum}.")
    return number


def decimal_number(name: str, default: float, *, minimum: float) -> float:
    """Return a number that is at least `minimum`.

    Raises:
        ImproperlyConfigured: not a finite number, or too small.
    """
    raw = text(name, str(default))
    try:
        number = float(raw)
    except ValueError:
        number = float("nan")
    if not (number >= minimum and math.isfinite(number)):
        raise ImproperlyConfigured(f"{name}={raw!r} must be a finite number of at least {minimum}.")
    return number


def one_of(name: str, default: str, choices: Sequence[str]) -> str:
    """Return one of the allowed words.

    Raises:
        ImproperlyConfigured: any other word.
    """
    raw = text(name, default)
    if raw not in choices:
        raise ImproperlyConfigured(f"{name}={raw!r} must be one of: {', '.join(choices)}.")
    return raw


def words(name: str, default: Sequence[str]) -> list[str]:
    """Return a comma separated list without blanks."""
    raw = text(name, ",".join(default))
    return [word.strip() for word in raw.split(",") if word.strip()]


def networks(name: str, default: Sequence[str]) -> tuple[Network, ...]:
    """Return a comma separated list of networks; the words none, loopback and private name some.

    Raises:
        ImproperlyConfigured: one is neither a network nor such a word.
    """
    try:
        return networks_named(words(name, default))
    except ValueError as error:
        raise ImproperlyConfigured(
            f"{name}: {error}. List networks like 10.1.0.0/16, single addresses, or the words none, loopback, private."
        ) from error


def origins(name: str, default: Sequence[str]) -> list[str]:
    """Return a comma separated list of web origins, as browsers send them; `*` means every one.

    Raises:
        ImproperlyConfigured: one is no scheme, host and port.
    """
    found = words(name, default)
    for origin in found:
        parts = urlsplit(origin)
        is_plain = parts.scheme in {"http", "https"} and parts.netloc and origin == f"{parts.scheme}://{parts.netloc}"
        if origin != "*" and (not is_plain or origin != origin.lower() or "@" in origin):
            raise ImproperlyConfigured(
                f"{name} must list origins like https://app.example.org or http://localhost:3000, or be *; it has "
                f"{origin!r}."
            )
    return found


def database(name: str, default: str) -> dict[str, object]:
    """Return Django's database settings of a `postgresql://` address.

    Raises:
        ImproperlyConfigured: the address is of another engine or cannot be read.
    """
    address = text(name, default)
    if not address.startswith(("postgres://", "postgresql://")):
        raise ImproperlyConfigured(
            f"{name} must be a postgresql:// address (GreenLLM keeps everything in Postgres), "
            f"for example postgresql://greenllm:password@127.0.0.1:5432/greenllm."
        )
    try:
        return cast(dict[str, object], dict(_env.db_url_config(address)))
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} cannot be read: {error}.") from error


def http_address(name: str, default: str, *, default_port: int | None = None) -> str:
    """Return an http(s) address without a trailing slash.

    `host:port`, `host` and `:port` mean http, the last one on this machine. `default_port` is the port of an
    address without scheme and port, as Ollama reads its own variable.

    Raises:
        ImproperlyConfigured: no host can be read from it, or the port is none.
    """
    raw = text(name, default)
    is_short = "://" not in raw
    try:
        parts = urlsplit(f"http://{raw}" if is_short else raw)
        port = parts.port or (default_port if is_short else None)
    except ValueError:
        parts, port = urlsplit(""), None
    host = parts.hostname or (_THIS_MACHINE if is_short and parts.port else "")
    if parts.scheme not in {"http", "https"} or not host or any(character.isspace() for character in raw):
        raise ImproperlyConfigured(f"{name}={raw!r} must be an address such as http://127.0.0.1:11434.")
    if host in _ANY_ADDRESS:  # Ollama's own variable names the address to listen on
        host = _THIS_MACHINE
    place = f"[{host}]" if ":" in host else host
    if port:
        place = f"{place}:{port}"
    person, at, _ = parts.netloc.rpartition("@")
    return f"{parts.scheme}://{person}{at}{place}{parts.path.rstrip('/')}"


def folder(name: str) -> Path | None:
    """Return a folder, made where it is missing, or None where the variable is unset or empty.

    An empty variable is taken away: the package that reads it too would count into the current folder.

    Raises:
        ImproperlyConfigured: it cannot be made, or nothing can be written there.
    """
    raw = os.environ.get(name)
    if not raw:
        os.environ.pop(name, None)
        return None
    path = Path(raw)
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ImproperlyConfigured(f"{name}={raw!r} is no folder and cannot be made one: {error}.") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise ImproperlyConfigured(f"{name}={raw!r} is a folder that nothing can be written to.")
    return path


def secret_key(name: str, path: Path) -> str:
    """Return the secret of this installation: the variable, or a random one kept in a private file.

    Raises:
        ImproperlyConfigured: it is the one that an example of former versions had, which everybody knows.
    """
    given = os.environ.get(name)
    if given and given.startswith("change-me"):
        raise ImproperlyConfigured(f"{name} is that of the example, which everybody knows: put 50 random characters.")
    if given:
        return given
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(50))
        with contextlib.suppress(FileExistsError):  # another process was first: its secret is everybody's
            path.hardlink_to(draft)  # unlike a rename, it never replaces, and the file is whole when it appears
        draft.unlink()
    return path.read_text(encoding="ascii").strip()
