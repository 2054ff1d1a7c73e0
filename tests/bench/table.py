"""One table of all figures, each beside its target."""

from dataclasses import dataclass, field


@dataclass
class Table:
    """Rows of what was measured, how much, and what it shall be; printed as they come."""

    missed: list[str] = field(default_factory=list)
    is_begun: bool = False

    def row(self, name: str, figure: str, target: str = "", *, is_ok: bool | None = None, n: int | None = None) -> None:
        if not self.is_begun:
            print(f"{'what':58} {'figure':>28} {'n':>8}  {'target':20} result")  # noqa: T201
            self.is_begun = True
        result = {True: "ok", False: "MISSED", None: ""}[is_ok]
        if is_ok is False:
            self.missed.append(name)
        count = "" if n is None else str(n)
        print(f"{name:58} {figure:>28} {count:>8}  {target:20} {result}", flush=True)  # noqa: T201

    def below(self, name: str, value: float, limit: float, unit: str, *, n: int | None = None, digits: int = 2) -> None:
        self.row(name, f"{value:.{digits}f} {unit}", f"< {limit:g} {unit}", is_ok=value < limit, n=n)

    def skipped(self, name: str, why: str) -> None:
        self.row(name, "SKIPPED", why)
