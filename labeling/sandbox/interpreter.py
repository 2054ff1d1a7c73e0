"""The interpreter inside a sandbox: which files it needs, and how it limits itself before it runs a program."""

import math
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

_PACKAGES = ("site-packages", "dist-packages")
_LIBRARY_FOLDERS = ("/lib64", "/usr/lib64")

# Limits are set by the interpreter itself before it sees the program: `preexec_fn` may deadlock where threads run.
_BOOTSTRAP = """\
import resource, sys
for name, value in {limits!r}.items():
    kind = getattr(resource, name)
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))
exec(compile(sys.stdin.buffer.read(), "<program>", "exec"), {{"__name__": "__main__"}})
"""


def python_command(*, timeout_s: float, memory_bytes: int) -> list[str]:
    """Return the command that limits itself and then runs the program on its standard input.

    Isolated (-I: no environment, no user folder), without packages (-S) and without byte code files (-B). The
    limits hold for each process: address space, processor seconds, no files and no core dumps, few descriptors.
    """
    limits = {
        "RLIMIT_AS": memory_bytes,
        "RLIMIT_CPU": math.ceil(timeout_s) + 1,
        "RLIMIT_FSIZE": 0,
        "RLIMIT_CORE": 0,
        "RLIMIT_NOFILE": 64,
        "RLIMIT_NPROC": 64,
    }
    return [str(executable()), "-I", "-S", "-B", "-c", _BOOTSTRAP.format(limits=limits)]


def executable() -> Path:
    """Return the interpreter that this one was made of: a virtual environment's own has our packages beside it."""
    return Path(getattr(sys, "_base_executable", sys.executable)).resolve()


def standard_library() -> Path:
    """Return the folder of the standard library."""
    return Path(sysconfig.get_path("stdlib"))


def package_folders() -> list[Path]:
    """Return the folders of installed packages inside the standard library; a sandbox hides them."""
    return [folder for name in _PACKAGES if (folder := standard_library() / name).is_dir()]


def needed_files() -> Sequence[Path]:
    """Return what the interpreter cannot run without: itself, the standard library and shared libraries."""
    multiarch = sysconfig.get_config_var("MULTIARCH")
    folders = [Path(name) for name in _LIBRARY_FOLDERS]
    if multiarch:
        folders += [Path("/lib") / multiarch, Path("/usr/lib") / multiarch]
    own_library = sorted(Path(sysconfig.get_config_var("LIBDIR") or "/nowhere").glob("libpython3*.so*"))
    files = [executable(), standard_library(), *own_library, *folders, Path("/etc/ld.so.cache")]
    return [file for file in files if file.exists()]
