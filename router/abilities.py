"""Which models can do what a request needs beyond text, and the refusal where none of those in question can. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from benchmarks.inference.demands import TOOL_CHOICE, TOOLS, VISION
from router.wires.fields import WireError

_WORDS = {TOOLS: "call tools", VISION: "look at images", TOOL_CHOICE: "be told which tool to call"}

_WISHED = {TOOL_CHOICE}  # Ollama's servers know none, and its clients are used to its being left out

Able = Mapping[str, bool]  # what a server does not tell is left out


class NobodyAble(WireError):
    """No model in question can do what is asked; the message names the field, and which models can."""


@dataclass(frozen=True)
class Unable:
    """The deployments that cannot do what a request needs.

    Args:
        reasons: why, by the key of the deployment.
        needed: what is needed, with the field that asks for it.
        able: the names of the models that can.
    """

    reasons: Mapping[int, str] = field(default_factory=dict)
    needed: Mapping[str, str] = field(default_factory=dict)
    able: tuple[str, ...] = ()

    def refusal(self, model: str = "") -> NobodyAble:
        """Return the error of a request that the named model, or every model in question, cannot answer."""
        fields = " and ".join(f"'{name}'" for name in self.needed.values())
        whose = f"the model {model}" if model else "every model that may answer"
        remedy = f"These can: {', '.join(self.able)}." if self.able else "No active model can."
        return NobodyAble(
            f"{fields} asks for more than {whose} can do ({_words(self.needed)}). {remedy}",
            code="unsupported_parameter",
            param=next(iter(self.needed.values())),
        )


def required(needed: Mapping[str, str]) -> Mapping[str, str]:
    """Return what a model must be able to do; without the rest it answers as well as it can."""
    return {ability: name for ability, name in needed.items() if ability not in _WISHED}


def unable_of(needed: Mapping[str, str], told: Mapping[int, Able], names: Mapping[int, str]) -> Unable:
    """Return who cannot do what is needed.

    A model of which nobody tells counts as able only where none is known to be. What is only wished for counts where
    somebody can do that with all the rest.
    """
    found = _unable_of(needed, told, names)
    return found if found.able or needed == required(needed) else _unable_of(required(needed), told, names)


def _unable_of(needed: Mapping[str, str], told: Mapping[int, Able], names: Mapping[int, str]) -> Unable:
    known = {key for key, able in told.items() if all(able.get(one) for one in needed)}
    silent = {key for key, able in told.items() if all(able.get(one, True) for one in needed)}
    able = known or silent
    reasons = {key: _reason(needed, told[key]) for key in told if key not in able}
    return Unable(reasons, needed, tuple(sorted({names[key] for key in able})))


def _reason(needed: Mapping[str, str], able: Able) -> str:
    lacking = [one for one in needed if able.get(one) is False]
    if lacking:
        return f"It cannot {_words(lacking)}."
    return f"Its server does not tell whether it can {_words(needed)}, and others can."


def _words(needed: Collection[str]) -> str:
    return " and ".join(_WORDS[one] for one in needed)
