"""A seccomp filter (classic BPF, include/uapi/linux/seccomp.h) that leaves a program no new process and no socket.

A process limit cannot do the first: Linux does not apply RLIMIT_NPROC to root. Threads stay possible. The rest of
the list are calls that look into other processes or open parts of the kernel that Python does not need.
"""

import platform
import struct
from dataclasses import dataclass

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_ALLOW, _REFUSE, _UNKNOWN_CALL = 0x7FFF0000, 0x00050000 | 1, 0x00050000 | 38  # EPERM, ENOSYS
_CLONE_THREAD = 0x00010000
_X32_CALLS = 0x40000000


@dataclass(frozen=True)
class _Architecture:
    audit_code: int
    clone: int
    clone3: int
    refused: tuple[int, ...]


# fork vfork | socket ptrace process_vm_readv process_vm_writev unshare setns mount umount2 bpf perf_event_open
# userfaultfd add_key request_key keyctl io_uring_setup
_ARCHITECTURES = {
    "x86_64": _Architecture(
        0xC000003E, 56, 435, (57, 58, 41, 101, 310, 311, 272, 308, 165, 166, 321, 298, 323, 248, 249, 250, 425)
    ),
    "aarch64": _Architecture(
        0xC00000B7, 220, 435, (198, 117, 270, 271, 97, 268, 40, 39, 280, 241, 282, 217, 218, 219, 425)
    ),
}


class UnknownArchitecture(LookupError):
    """The system calls of this kind of processor are not listed here."""


def system_call_filter(machine: str | None = None) -> bytes:
    """Return the filter for a kind of processor, by default this one's.

    Raises:
        UnknownArchitecture: its calls are not listed here.
    """
    machine = machine or platform.machine()
    architecture = _ARCHITECTURES.get(machine)
    if architecture is None:
        raise UnknownArchitecture(f"No list of system calls for {machine}.")
    # clone3 passes its flags in memory, where a filter cannot look; without it the C library falls back to clone
    checks = [(_EQUAL, number, "refuse") for number in architecture.refused]
    program: list[tuple[int, int, str, str]] = [
        (_LOAD, _ARCHITECTURE_AT, "", ""),
        (_EQUAL, architecture.audit_code, "", "refuse"),
        (_LOAD, _NUMBER_AT, "", ""),
        (_AT_LEAST, _X32_CALLS, "refuse", ""),
        (_EQUAL, architecture.clone3, "unknown", ""),
        *((code, number, target, "") for code, number, target in checks),
        (_EQUAL, architecture.clone, "", "allow"),
        (_LOAD, _FIRST_ARGUMENT_AT, "", ""),
        (_ANY_BIT, _CLONE_THREAD, "allow", "refuse"),
    ]
    return _assembled(program, {"allow": _ALLOW, "refuse": _REFUSE, "unknown": _UNKNOWN_CALL})


def _assembled(program: list[tuple[int, int, str, str]], endings: dict[str, int]) -> bytes:
    """Turn named jumps into distances: from the next instruction to the ending of that name."""
    places = {name: len(program) + offset for offset, name in enumerate(endings)}
    lines = [
        struct.pack(
            "=HBBI",
            code,
            places[true] - place - 1 if true else 0,
            places[false] - place - 1 if false else 0,
            operand,
        )
        for place, (code, operand, true, false) in enumerate(program)
    ]
    lines += [struct.pack("=HBBI", _RETURN, 0, 0, value) for value in endings.values()]
    return b"".join(lines)
