"""Which models there are on disk."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from greenllm.embedded.llm_server.facts import ModelFacts, model_facts
from greenllm.embedded.llm_server.gguf_header import GgufError
from greenllm.embedded.llm_server.models import Progress, facts_dir, prepared_dir, read_status
from greenllm.embedded.llm_server.recipes import RECIPES
from greenllm.embedded.llm_server.refusals import (
    ModelBeingPreparedError,
    ModelNotFoundError,
    ModelUnusableError,
)

logger = logging.getLogger(__name__)

_DEFAULT_TAG = ":latest"


@dataclass(frozen=True)
class Model:
    """One model that can be loaded; its name always has a tag."""

    name: str
    path: Path
    facts: ModelFacts


class Library:
    """The models of one folder: those made from wheels, and every *.gguf file that someone put there.

    It reads the disk at every call, so that a file counts as soon as it is there; the calls block.
    """

    def __init__(self, models_dir: Path, is_preparing: Callable[[], bool]) -> None:
        """Look at `models_dir`; `is_preparing` tells whether missing files are still being made."""
        self._models_dir = models_dir
        self._is_preparing = is_preparing

    def ready(self) -> list[Model]:
        """Return the models that can be loaded now, the latest changed first as Ollama lists them."""
        models = []
        for name, path in self._paths().items():
            try:
                models.append(self._model(name, path))
            except ModelUnusableError as error:
                logger.warning("%s", error)
        return sorted(models, key=lambda model: (model.facts.modified_at, model.name), reverse=True)

    def find(self, name: str) -> Model:
        """Return the model that a client calls `name`; the tag `latest` may be left out.

        Raises:
            ModelNotFoundError: there is none.
            ModelBeingPreparedError: there will be.
            ModelUnusableError: its file is damaged or could not be made.
        """
        wanted = with_tag(name)
        path = self._paths().get(wanted)
        if path is not None:
            return self._model(wanted, path)
        for recipe in RECIPES:
            if with_tag(recipe.name) == wanted:
                self._explain_missing(recipe.name, name)
        raise ModelNotFoundError(name)

    def _explain_missing(self, recipe_name: str, asked_name: str) -> None:
        if self._is_preparing():
            known = read_status(self._models_dir).get(recipe_name)
            if known is None or known.progress is not Progress.FAILED:
                raise ModelBeingPreparedError(asked_name)
        known = read_status(self._models_dir).get(recipe_name)
        detail = known.detail if known and known.detail else "the preparation ended before it was made"
        raise ModelUnusableError(f"model '{asked_name}' could not be prepared: {detail}")

    def _paths(self) -> dict[str, Path]:
        made = {with_tag(recipe.name): prepared_dir(self._models_dir) / recipe.file_name for recipe in RECIPES}
        added = {with_tag(path.stem): path for path in sorted(self._models_dir.glob("*.gguf"))}
        # A file that someone put there under one of our names is what they want.
        return {name: path for name, path in {**made, **added}.items() if path.exists()}

    def _model(self, name: str, path: Path) -> Model:
        try:
            return Model(name, path, model_facts(path, facts_dir(self._models_dir, path)))
        except (GgufError, OSError) as error:
            raise ModelUnusableError(f"model '{name}' cannot be used: {error}") from error


def with_tag(name: str) -> str:
    """Return the name with Ollama's default tag when it has none."""
    return name if ":" in name else name + _DEFAULT_TAG
