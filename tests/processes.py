"""The processes of one installation among all of the machine."""

import os
from pathlib import Path

import psutil


def processes_of(var_dir: Path) -> list[psutil.Process]:
    """Return every other living process that works on a var directory, found by its environment."""
    found = []
    for process in psutil.process_iter():
        try:
            is_ours = process.environ().get("GREENLLM_VAR") == str(var_dir)
            if is_ours and process.status() != psutil.STATUS_ZOMBIE and process.pid != os.getpid():
                found.append(process)
        except psutil.Error:  # it has ended meanwhile, or is somebody else's
            continue
    return found
