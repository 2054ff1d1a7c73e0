"""How long a prompt of about 50 tokens takes to embed, by variant of the embedder, and whether the choices stay.

`make bench-router BENCH="--only embedding"`; the variants are made of the same safetensors, and their vectors of the
tables kept in ~/.cache/greenllm-bench (or GREENLLM_BENCH_CACHE).
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tests.bench.table import Table as Shown

if TYPE_CHECKING:
    from router.evaluation.table import Table

VARIANTS = ("F16", "Q8_0")
_LIMIT_MS, _LEAST_SAME = 25.0, 0.98
_TOKENS = (44, 56)
_TIMED = 200
_KNOWN_SHARE = 0.7


class EngineEmbedder:
    """The engine of the embedded server with one file, as `router.remembered` wants an embedder."""

    def __init__(self, folder: Path, variant: str, *, threads: int) -> None:
        from benchmarks.models import LanguageModel
        from greenllm.embedded.llm_server.embedder_file import convert_embedder
        from greenllm.embedded.llm_server.engine import Engine
        from greenllm.embedded.llm_server.facts import model_facts
        from greenllm.embedded.llm_server.recipes import RECIPES

        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"all-minilm-{variant}.gguf"
        if not path.exists():
            convert_embedder(RECIPES[0].source_path(), path, variant)
        facts = model_facts(path, folder / "facts")
        self.engine = Engine(path, facts, context=512, threads=threads)
        self.language_model = LanguageModel(name=RECIPES[0].name, digest=facts.sha256)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return one unit vector a text, as rows."""
        from router.vectors import to_unit_length

        return to_unit_length([list(self.engine.embed(text, truncates=True)[0]) for text in texts])


def compare_variants(shown: Shown, *, tables: Path, names: Sequence[str], cache: Path) -> None:
    """Time the variants in turns, and compare the routing choices that their vectors give on real tables."""
    from benchmarks.datasets.outcomes import read_outcomes
    from router.assessing import table_of
    from router.remembered import RememberedEmbedder

    folder = cache / "embedders"
    threads = tuple(sorted({1, min(2, os.cpu_count() or 1)}))
    loaded = {
        (variant, count): EngineEmbedder(folder, variant, threads=count) for variant in VARIANTS for count in threads
    }
    outcomes = {name: read_outcomes(tables / name) for name in names}
    _times(shown, loaded, [text for one in outcomes.values() for text in one.texts])
    for name, one in outcomes.items():
        found = {
            variant: table_of(one, embedder=RememberedEmbedder(loaded[variant, 1], folder=cache))  # type: ignore[arg-type]
            for variant in VARIANTS
        }
        _choices(shown, name, found)


def _times(shown: Shown, loaded: dict[tuple[str, int], EngineEmbedder], texts: Sequence[str]) -> None:
    some = [text for text in dict.fromkeys(texts) if 100 < len(text) < 300]
    first = next(iter(loaded.values())).engine
    low, high = _TOKENS
    timed = [text for text in some[: 10 * _TIMED] if low <= first.embed(text, truncates=True)[1] <= high][:_TIMED]
    spent: dict[tuple[str, int], list[float]] = {key: [] for key in loaded}
    chance, keys = np.random.default_rng(0), list(loaded)
    for text in timed:
        for key in chance.permutation(len(keys)):  # in turns and any order, so that what else runs meets all alike
            begun = time.perf_counter()
            loaded[keys[key]].engine.embed(text, truncates=True)
            spent[keys[key]].append(1000 * (time.perf_counter() - begun))
    for (variant, threads), found in spent.items():
        p50, p95 = np.quantile(found, [0.5, 0.95])
        shown.row(
            f"embedding {low}-{high} tokens, {variant}, threads: {threads}",
            f"p50 {p50:.1f}, p95 {p95:.1f} ms", f"p50 < {_LIMIT_MS:g} ms", is_ok=bool(p50 < _LIMIT_MS), n=len(found),
        )  # fmt: skip


def _choices(shown: Shown, name: str, tables: dict[str, "Table"]) -> None:
    """Learn from 70 % of the texts, and compare the choices on the others."""
    from router.estimate import Estimator
    from router.policies import ByCategory, Guarded, Knn, Nearest

    table = tables[VARIANTS[0]]
    order = np.random.default_rng(0).permutation(table.groups.max() + 1)
    is_learned = np.isin(table.groups, order[: int(_KNOWN_SHARE * len(order))])
    learned, asked = np.flatnonzero(is_learned), np.flatnonzero(~is_learned)
    price = 0.05 / float(np.nanmean(table.costs[learned]))  # five points of accuracy for what a model costs on average
    for policy in (Guarded(), Knn(sci_price=price), ByCategory(sci_price=price), Nearest()):
        chosen = []
        for variant in VARIANTS:
            estimator = Estimator(tables[variant].known(learned), policy.shrinkage)
            chosen.append(policy.choose(estimator, estimator.estimate(tables[variant].vectors[asked])))
        same = float(np.mean(chosen[0] == chosen[1]))
        shown.row(
            f"{name}: {policy.name}, Q8_0 chooses as F16", f"{100 * same:.1f} %", f">= {100 * _LEAST_SAME:g} %",
            is_ok=same >= _LEAST_SAME, n=len(asked),
        )  # fmt: skip
