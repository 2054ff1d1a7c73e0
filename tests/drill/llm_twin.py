"""The inference server of the drill: a scripted Ollama in a process of its own, whose faults a file orders.

`python -m tests.drill.llm_twin PORT FILE`: the first word of the file is a fault of `FAULTS`; none, no fault.
"""

import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from threading import Event

from benchmarks.inference.scripted import Fault, FaultKind, ScriptedAnswer, ScriptedModel
from benchmarks.inference.scripted_http import ScriptedHandler
from benchmarks.inference.scripted_service import ScriptedService
from benchmarks.inference.scripting import Stage

MODELS = ("smollm2:135m", "smollm2:135m-q8_0", "smollm2:135m-q3_k")  # those of the demo
EMBEDDER = "all-minilm:latest"
FAULTS = {
    "hangs": Fault(FaultKind.HANG),
    "garbage": Fault(FaultKind.GARBAGE),
    "half": Fault(FaultKind.CUT),
    "500": Fault(FaultKind.STATUS, status=500, message="scripted failure"),
    "429": Fault(FaultKind.STATUS, status=429, message="scripted refusal: too many requests"),
}
_SECONDS_PER_TOKEN = 0.03


class OrderedStage(Stage):
    """A stage whose fault is the one that a file names at that moment; the embedder has none."""

    def __init__(self, models: tuple[ScriptedModel, ...], orders: Path) -> None:
        super().__init__(models, _answer, ())
        self._orders = orders

    def next_fault(self, model: str, options: Mapping[str, object]) -> Fault | None:
        """Return the fault that is in force."""
        if model.startswith(EMBEDDER):
            return None
        try:
            ordered = self._orders.read_text(encoding="ascii").strip()
        except OSError:
            return None
        return FAULTS.get(ordered)


def _answer(_model: str, prompt: str) -> ScriptedAnswer:
    words = prompt.split()[:6]
    return ScriptedAnswer(
        f"You asked about {' '.join(words)} and this is what was scripted for it.", seconds_per_token=_SECONDS_PER_TOKEN
    )


def main() -> None:
    port, orders = int(sys.argv[1]), Path(sys.argv[2])
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    models = (
        *(ScriptedModel(name, digest=f"{number:064d}") for number, name in enumerate(MODELS, start=1)),
        ScriptedModel(EMBEDDER, digest="9" * 64, capabilities=("embedding",)),
    )
    with ScriptedService(ScriptedHandler, OrderedStage(models, orders), port=port):
        stop.wait()


if __name__ == "__main__":
    main()
