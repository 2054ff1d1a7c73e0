"""The fault drill: `make drill`, or `python -m tests.drill --faults 5 --only kill`.

A whole installation in a folder and on ports of its own measures a study with a simulated board, while people judge and
programs chat; one part after the other is taken away. After each fault it must go on by itself within 30 s, what is
wrong must be told while it lasts, and nothing that was promised may be missing or there twice. Ends with exit code 1
where that is missed, and leaves nothing behind.
"""

import argparse
import os
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass

import psycopg

from tests.drill.audit import Audit
from tests.drill.faults import Fault, Skipped, planned
from tests.drill.furnishing import Furnished, furnish
from tests.drill.llm_twin import MODELS
from tests.drill.loads import Chat, HastyChat, Journal, Judge, Load
from tests.drill.place import DrillError, Place, place
from tests.drill.watching import Progress, Watcher

BOUND_S = 30.0
TOLD_AFTER_S = 3.0  # what is away for less need not be told
_PATIENCE_S = 60.0
_CALM_S = 1.0


@dataclass(frozen=True)
class Row:
    """What became of one fault; None where nothing went on in time; `skipped`: why it was left out."""

    kind: str
    away_s: float = 0.0
    recovered_s: float | None = None
    lost: int = 0
    doubled: int = 0
    told: str = ""
    is_untold: bool = False
    skipped: str = ""

    @property
    def is_missed(self) -> bool:
        """Tell whether a bound is missed."""
        late = self.recovered_s is None or self.recovered_s > BOUND_S
        return not self.skipped and (late or bool(self.lost) or bool(self.doubled) or self.is_untold)

    def line(self, number: int) -> str:
        """Return the row of the table."""
        if self.skipped:
            return f"{number:>3} {self.kind:<18} SKIPPED: {self.skipped}"
        recovered = "not" if self.recovered_s is None else f"{self.recovered_s:.1f} s"
        result = "MISSED" if self.is_missed else "ok"
        untold = " (not told)" if self.is_untold else ""
        return (
            f"{number:>3} {self.kind:<18} {self.away_s:>6.1f} s {recovered:>9} {self.lost:>5} {self.doubled:>8} "
            f"{result:<7} {self.told}{untold}"
        )


HEAD = f"{'':>3} {'fault':<18} {'away':>8} {'recovered':>9} {'lost':>5} {'doubled':>8} {'result':<7} told meanwhile"


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201  a command


class Drill:
    """The running drill."""

    def __init__(self, made: Place, furnished: Furnished, key: str) -> None:
        self._place = made
        self.journal = Journal()
        self.loads: list[Load] = [
            Judge(made.address, self.journal, person_id=person, session=session, seed=person)
            for person, session in furnished.judges
        ]
        self.loads += [
            Chat(made.address, self.journal, key=key, models=("auto", MODELS[0]), name=f"client {number}")
            for number in (1, 2)
        ]
        self.loads.append(HastyChat(made.address, self.journal, key=key, models=(MODELS[0],), name="client 3"))
        self._watcher = Watcher(made.address, admin_session=furnished.admin_session)
        self._progress = Progress(self.journal, self._finished_count, [person for person, _ in furnished.judges])
        self.audit = Audit([person for person, _ in furnished.judges], furnished.study_id)
        self._study_id = furnished.study_id
        self._counted: Counter[str] = Counter()

    def begin(self) -> None:
        """Start the loads and wait until all goes on."""
        for one in (*self.loads, self._watcher):
            one.start()
        if self._progress.recovered_at(self._watcher, time.monotonic(), timeout_s=90) is None:
            raise DrillError(f"the loads do not begin: {self._progress.missing}, {self.journal.troubles[-3:]}")

    def strike(self, fault: Fault) -> Row:
        """Let one fault happen and tell what came of it."""
        self._watcher.begin()
        struck = time.monotonic()
        try:
            returned = fault.strike(self._place)
        except Skipped as error:
            return Row(fault.kind, skipped=str(error))
        recovered = self._progress.recovered_at(self._watcher, returned, timeout_s=_PATIENCE_S)
        told, is_untold = self._told(fault, struck, returned)
        lost, doubled = self._new_losses()
        if recovered is None:
            told = f"STILL: {', '.join(self._progress.missing)}; {told}"
        time.sleep(_CALM_S)
        away_s = returned - struck
        return Row(
            fault.kind, away_s, None if recovered is None else recovered - returned, lost, doubled, told, is_untold
        )

    def end(self) -> list[str]:
        """End the loads and look at everything once more; return what is wrong."""
        for one in self.loads:
            one.ending.set()
        for one in self.loads:
            one.join(60)
        self._watcher.ending.set()
        self._watcher.join(10)
        problems = [f"{one.name} has ended by an error" for one in self.loads if one.is_alive()]
        self._halt_study()
        with self._postgres() as connection:
            self.audit.look(connection, self.journal, is_last=True)
        for what, counts in (("lost", self.audit.lost), ("doubled", self.audit.doubled)):
            problems += [f"{count} {name} {what}" for name, count in counts.items() if count]
        problems += [f"{count} x {what}" for what, count in self.journal.unforeseen().items()]
        try:
            _say(self._place.manage("verify"))
        except DrillError as error:
            problems.append(str(error))
        return problems

    def summary(self) -> str:
        """Return what the loads did."""
        told = ", ".join(f"{count} x {text}" for text, count in self.journal.told.most_common(4))
        troubles = Counter(what for _, what in self.journal.troubles).most_common(12)
        return (
            f"promised: {len(self.journal.votes)} votes, {len(self.journal.answers)} answers, "
            f"{len(self.audit.finished)} responses; lost {sum(self.audit.lost.values())}, doubled "
            f"{sum(self.audit.doubled.values())}\nother words to judges: {told or 'none'}\n"
            f"refused or cut off meanwhile: {', '.join(f'{count} x {what}' for what, count in troubles) or 'nothing'}"
        )

    def _told(self, fault: Fault, struck: float, returned: float) -> tuple[str, bool]:
        seen = self._watcher.seen()
        troubles = self.journal.troubles_since(struck)
        said = [f"health: {', '.join(f'{name} {state}' for name, state in seen.parts.items())}"] if seen.parts else []
        said += [f"banner: {', '.join(sorted(seen.banner))}"] if seen.banner else []
        said += [f"{count} x {what}" for what, count in troubles.most_common(3)]
        lasted = returned - struck >= TOLD_AFTER_S
        is_missing = bool(fault.parts) and not fault.parts & set(seen.parts)
        is_missing |= fault.is_told_by_api and not any(what.startswith("API") for what in troubles)
        return "; ".join(said) or "-", lasted and is_missing

    def _new_losses(self) -> tuple[int, int]:
        """Return how much more is lost or doubled than after the fault before."""
        with self._postgres() as connection:
            self.audit.look(connection, self.journal)
        now = Counter(lost=sum(self.audit.lost.values()), doubled=sum(self.audit.doubled.values()))
        more = (now["lost"] - self._counted["lost"], now["doubled"] - self._counted["doubled"])
        self._counted = now
        return more

    def _halt_study(self) -> None:
        """Pause the study and wait until its worker has stored what it was at."""
        with self._postgres() as connection:
            connection.execute("UPDATE benchmarks_study SET state = 'paused' WHERE id = %s", [self._study_id])
        running = "SELECT count(*) FROM benchmarks_response WHERE study_id = %s AND state = 'running'"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with self._postgres() as connection:
                found = connection.execute(running, [self._study_id]).fetchone()
            if found == (0,):
                return
            time.sleep(0.5)

    def _finished_count(self) -> int | None:
        query = "SELECT count(*) FROM benchmarks_response WHERE study_id = %s AND state = 'finished'"
        try:
            with self._postgres() as connection:
                row = connection.execute(query, [self._study_id]).fetchone()
        except psycopg.Error:
            return None
        return int(row[0]) if row else None

    def _postgres(self) -> psycopg.Connection:
        folder = str(self._place.layout.postgres_socket_dir)
        return psycopg.connect(host=folder, user="greenllm", dbname="greenllm", connect_timeout=2, autocommit=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=40, help="How many faults (40).")
    parser.add_argument("--only", default="", help="Only faults with this word in their name.")
    parser.add_argument("--minutes", type=float, default=20, help="Begin no fault after so many minutes (20).")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # leaves the installation's context as Ctrl-C does
    faults = planned(2 * options.faults, options.only)  # those that cannot be made here are made up for
    began = time.monotonic()
    with place() as made:
        where = "a tmpfs of its own" if made.is_on_tmpfs else "the machine's disk, so that it is not filled"
        _say(f"load before: {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores; the installation lies on {where}")
        drill = _begun(made)
        _say(f"all runs after {time.monotonic() - began:.0f} s\n\n{HEAD}")
        rows = []
        for number, fault in enumerate(faults, start=1):
            done = sum(not row.skipped for row in rows)
            if done == options.faults:
                break
            if time.monotonic() - began > options.minutes * 60:
                _say(f"the time is up after {done} of {options.faults} faults")
                break
            rows.append(drill.strike(fault))
            _say(rows[-1].line(number))
        problems = drill.end()
        _say(drill.summary())
        if problems or any(row.is_missed for row in rows):
            _show_logs(made)
    missed = [row.kind for row in rows if row.is_missed]
    skipped = Counter(row.kind for row in rows if row.skipped)
    done = len(rows) - sum(skipped.values())
    _say(f"{done} faults in {(time.monotonic() - began) / 60:.1f} min; skipped: {dict(skipped) or 'none'}")
    _say(f"missed: {', '.join(missed) or 'none'}; problems: {'; '.join(problems) or 'none'}")
    left = made.leftovers()
    _say(f"left running: {[one.pid for one in left] or 'nothing'}")
    is_short = done < options.faults
    return 1 if missed or problems or left or is_short else 0


def _begun(made: Place) -> Drill:
    made.start_llm()
    made.plug_board_in()
    made.manage("demo", "--limit", "1", "--exit")
    made.up()
    drill = Drill(made, furnish(made), (made.var_dir / "api-key").read_text(encoding="ascii").strip())
    drill.begin()
    return drill


def _show_logs(made: Place) -> None:
    """Print the end of what the parts wrote, before it is thrown away."""
    for path in (made.twins_dir / "up.log", *(made.layout.log_dir / f"{name}.log" for name in ("worker", "web"))):
        if path.exists():
            _say(f"--- end of {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-25:]))


if __name__ == "__main__":
    raise SystemExit(main())
