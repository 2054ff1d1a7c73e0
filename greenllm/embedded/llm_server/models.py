"""Make the files of the models that come with wheels; run as a process of its own, beside the server."""

import argparse
import fcntl
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from greenllm.embedded.errors import EmbeddedError
from greenllm.embedded.llm_server.facts import model_facts
from greenllm.embedded.llm_server.gguf_header import GgufError
from greenllm.embedded.llm_server.recipes import RECIPES, Recipe

logger = logging.getLogger(__name__)


class Progress(StrEnum):
    """How far the making of one model is."""

    WAITING = "waiting"
    PREPARING = "preparing"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True)
class Preparation:
    """How far one model is; `detail` tells why it failed."""

    progress: Progress
    detail: str = ""


def prepared_dir(models_dir: Path) -> Path:
    """Return the folder of the files made here; those that people add lie in `models_dir` itself."""
    return models_dir / "prepared"


def facts_dir(models_dir: Path, path: Path) -> Path:
    """Return the folder of the facts of a model file."""
    return models_dir / "facts" / ("prepared" if path.parent == prepared_dir(models_dir) else "added")


def read_status(models_dir: Path) -> dict[str, Preparation]:
    """Return what the latest preparation said of each model; empty when there was none."""
    try:
        raw = json.loads((models_dir / "status.json").read_text(encoding="utf-8"))
        return {name: Preparation(Progress(one["progress"]), one["detail"]) for name, one in raw.items()}
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def prepare_models(models_dir: Path, recipes: Sequence[Recipe] = RECIPES) -> dict[str, Preparation]:
    """Make every model file that is missing, one after the other, and note the progress in status.json.

    A second process on the same folder waits and then finds the files. A file appears under its name only when
    it is whole. The failure of one model does not keep the others from being made.
    """
    folder = prepared_dir(models_dir)
    folder.mkdir(parents=True, exist_ok=True)
    status = {recipe.name: Preparation(Progress.WAITING) for recipe in recipes}
    with (folder / ".lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for draft in folder.glob("*.unfinished"):
            draft.unlink()
        for recipe in recipes:
            status[recipe.name] = Preparation(Progress.PREPARING)
            _write_status(models_dir, status)
            status[recipe.name] = _prepare(recipe, models_dir)
            _write_status(models_dir, status)
    return status


def _prepare(recipe: Recipe, models_dir: Path) -> Preparation:
    path = prepared_dir(models_dir) / recipe.file_name
    draft = path.with_name(path.name + ".unfinished")
    try:
        if not path.exists():
            recipe.make(recipe.source_path(), draft)
            draft.replace(path)
        model_facts(path, facts_dir(models_dir, path))
    except (EmbeddedError, GgufError, OSError, ValueError, ImportError) as error:
        logger.exception("model %s cannot be prepared", recipe.name)
        return Preparation(Progress.FAILED, str(error))
    logger.info("model %s is ready", recipe.name)
    return Preparation(Progress.READY)


def _write_status(models_dir: Path, status: dict[str, Preparation]) -> None:
    path = models_dir / "status.json"
    draft = path.with_name(path.name + ".new")
    draft.write_text(json.dumps({name: asdict(one) for name, one in status.items()}), encoding="utf-8")
    draft.replace(path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepare the models of one folder at the lowest priority; exit code 1 when one failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True)
    wanted = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    os.nice(19)
    status = prepare_models(wanted.models)
    return int(any(one.progress is Progress.FAILED for one in status.values()))


if __name__ == "__main__":
    raise SystemExit(main())
