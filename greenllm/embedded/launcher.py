"""Become a server whose life ends with its supervisor's: run as a script, it replaces itself by the server.

A script of its own rather than a `preexec_fn`, because the supervisor has threads, and Python code between
fork and exec of a process with threads can deadlock (Python 3.12 warns of it).
"""

import argparse
import ctypes
import os
import sys

PARENT_GONE = 124
NAMESPACE_REFUSED = 125
CANNOT_EXECUTE = 126

_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER = 0x10000000
_NAMESPACE_UID = 1000


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parent", type=int, required=True, help="pid of the supervisor")
    parser.add_argument("--death-signal", type=int, required=True, help="sent when the supervisor dies")
    parser.add_argument("--isolation", choices=["plain", "user-namespace", "nobody"], default="plain")
    parser.add_argument("--user", type=int, default=65534, help="user and group id of --isolation nobody")
    parser.add_argument("command", nargs="+")
    return parser.parse_args(arguments)


def _enter_user_namespace(libc: ctypes.CDLL) -> bool:
    """Appear as an ordinary user to this process only; to the kernel, and so for files, nothing changes."""
    uid, gid = os.getuid(), os.getgid()
    if libc.unshare(_CLONE_NEWUSER):
        return False
    for path, text in (
        ("/proc/self/setgroups", "deny"),
        ("/proc/self/uid_map", f"{_NAMESPACE_UID} {uid} 1"),
        ("/proc/self/gid_map", f"{_NAMESPACE_UID} {gid} 1"),
    ):
        with open(path, "w", encoding="ascii") as file:  # noqa: PTH123  pathlib is not worth its import time here
            file.write(text)
    return True


def _become_user(uid: int) -> None:
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)


def main(arguments: list[str]) -> int:
    """Tie this process to its parent, take the wanted identity and execute the command."""
    wanted = _parse(arguments)
    libc = ctypes.CDLL(None, use_errno=True)
    if wanted.isolation == "user-namespace" and not _enter_user_namespace(libc):
        return NAMESPACE_REFUSED
    if wanted.isolation == "nobody":
        _become_user(wanted.user)
    # After the change of user, because the kernel forgets the signal when the identity changes.
    if libc.prctl(_PR_SET_PDEATHSIG, wanted.death_signal, 0, 0, 0):
        return CANNOT_EXECUTE
    if os.getppid() != wanted.parent:
        return PARENT_GONE
    try:
        os.execvpe(wanted.command[0], wanted.command, os.environ)  # noqa: S606  no shell is wanted
    except OSError as error:
        sys.stderr.write(f"cannot run {wanted.command[0]}: {error.strerror}\n")
    return CANNOT_EXECUTE


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
