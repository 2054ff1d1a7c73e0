"""What a key may be used for: which addresses, which models, how many requests and tokens a minute. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from router.wires.fields import WireError


class Scope(StrEnum):
    """What a key opens; reading the models and what the key itself did is open to every key."""

    GENERATE = "generate"
    EMBED = "embed"
    ROUTE = "route"


class Denial(StrEnum):
    """Why a request is not let in, before anything is asked."""

    KEY = "key"  # none, or an unknown or revoked one
    SCOPE = "scope"
    MODEL = "model"
    RATE = "rate"
    BUDGET = "budget"


SCOPE_WORDS = {
    Scope.GENERATE: "answer: chat and completions, on both wires",
    Scope.EMBED: "embed texts",
    Scope.ROUTE: "tell where a prompt would go, without an answer",
}


@dataclass(frozen=True)
class Terms:
    """What one key may be used for; no scope or no model named means all of them, no limit means none."""

    key_id: int
    scopes: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None

    @property
    def is_limited(self) -> bool:
        """Tell whether requests or tokens are counted."""
        return self.requests_per_minute is not None or self.tokens_per_minute is not None

    def has(self, model: str) -> bool:
        """Tell whether a model of that name may be asked; `:latest` may be left out."""
        return not self.models or bool(_spellings(model) & self.models)

    def require_scope(self, scope: Scope) -> None:
        """Refuse an address that the key does not open.

        Raises:
            WireError: it has no such scope.
        """
        if self.scopes and scope not in self.scopes:
            raise WireError(
                f"This key may not {SCOPE_WORDS[scope]}: it has the scopes {', '.join(sorted(self.scopes))}. An admin "
                "can give it more, or make another key.",
                status=403,
                kind="permission_error",
                code="scope_missing",
            )

    def require_model(self, model: str) -> None:
        """Refuse a named model that the key may not ask.

        Raises:
            WireError: it is none of its models.
        """
        if not self.has(model):
            raise WireError(
                f"This key may not ask the model {model!r}, only {', '.join(sorted(self.models))}, or 'auto', which "
                "then chooses among these.",
                status=403,
                kind="permission_error",
                code="model_not_allowed",
                param="model",
            )


def read_names(text: str) -> list[str]:
    """Return the names that somebody typed, with commas or lines between them, each once."""
    words = (word.strip() for line in text.splitlines() for word in line.split(","))
    return list(dict.fromkeys(word for word in words if word))


def unknown_names(wanted: Iterable[str], known: Iterable[str]) -> list[str]:
    """Return those of the wanted names that nothing known is called."""
    spelled = {spelling for name in known for spelling in _spellings(name)}
    return [name for name in wanted if name not in spelled]


def _spellings(model: str) -> set[str]:
    return {model, model.removesuffix(":latest"), f"{model}:latest"}
