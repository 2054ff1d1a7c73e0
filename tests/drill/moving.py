"""Wall clocks of single processes that can be moved, by libfaketime; monotonic clocks stay."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.drill.clocks.sitecustomize import FOLDER, LIBRARY, PART, READ_EVERY_S, clock_environment

INSTALL = "install libfaketime (apt-get install libfaketime), or set GREENLLM_DRILL_FAKETIME to its libfaketimeMT.so.1"
PARTS = ("worker", "web")
_USUAL = "usr/lib/*/faketime/libfaketimeMT.so.1"  # of Debian and what is made of it
_HOUR_S = 3600
_PROBE = f"""
import sys, threading, time
wall, steady = time.time(), time.monotonic()
with open(sys.argv[1], "w") as clock:
    clock.write("+{_HOUR_S}\\n")
time.sleep(1)
threading.Event().wait({READ_EVERY_S})
moved, passed = time.time() - wall, time.monotonic() - steady
assert {_HOUR_S} < moved < {_HOUR_S} + 60, f"the wall clock moved by {{moved:.1f}} s"
assert {READ_EVERY_S} + 1 <= passed < 60, f"{READ_EVERY_S + 1} s took {{passed:.1f}} s"
"""


def find_library(environment: Mapping[str, str] = os.environ, root: Path = Path("/")) -> Path | None:
    """Return the libfaketime that is named, else one at its usual place, None without one."""
    if named := environment.get("GREENLLM_DRILL_FAKETIME"):
        return Path(named)
    return next(iter(sorted(root.glob(_USUAL))), None)


@dataclass(frozen=True)
class Clocks:
    """The clocks of the worker and the web process, a file each in a folder."""

    library: Path
    folder: Path

    def environment(self, before: Mapping[str, str]) -> dict[str, str]:
        """Return the variables by which these two begin with a clock of their own, and no other process does."""
        for part in PARTS:
            self.move(part, 0)
        here = str(Path(__file__).parent / "clocks")
        path = os.pathsep.join(one for one in (here, before.get("PYTHONPATH", "")) if one)
        return {"PYTHONPATH": path, LIBRARY: str(self.library), FOLDER: str(self.folder)}

    def move(self, part: str, seconds: int) -> None:
        """Set a part's clock so far before (+) or behind (-) the right time; nobody reads half of it."""
        draft = self.folder / f".{part}"
        draft.write_text(f"{seconds:+d}\n", encoding="ascii")
        draft.replace(self.folder / part)

    def problem(self) -> str:
        """Return why a process does not bear such a clock, or an empty text."""
        clock = self.folder / "probe"
        clock.write_text("+0\n", encoding="ascii")
        env = {**os.environ, **self.environment(os.environ), PART: "probe"}
        env |= clock_environment(str(self.library), str(clock))
        command = [sys.executable, "-c", _PROBE, str(clock)]
        try:
            run = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
        except subprocess.TimeoutExpired:
            return f"{self.library} does not work here: two seconds last for a minute"
        if run.returncode or "cannot be preloaded" in run.stderr:
            return f"{self.library} does not work here: {(run.stderr.strip().splitlines() or ['it ended'])[-1]}"
        return ""
