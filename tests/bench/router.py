"""How good the router is on real outcomes, and how fast it decides: `make bench-router`.

The tables are read from ../shared/routing, the embeddings come from the embedded all-MiniLM-L6-v2 and are kept in
~/.cache/greenllm-bench. Prompts are split by text; prices are tuned on learned prompts only.
"""

import argparse
import logging
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from tests.bench.embedding import compare_variants
from tests.bench.million import CACHE, decide_among
from tests.bench.table import Table as Shown

if TYPE_CHECKING:
    from router.estimate import Known

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "greenllm.settings")
TABLES = Path(__file__).resolve().parents[3] / "shared" / "routing"
# what routing.md measured: accuracy and cost of best single, random, oracle and nearest
KNOWN = {
    "zeroeval_small": {
        "best single": (0.582, 81),
        "random": (0.508, 89),
        "oracle": (0.768, 38),
        "nearest": (0.418, 56),
    },
    "zeroeval_wide": {
        "best single": (0.730, 986),
        "random": (0.584, 308),
        "oracle": (0.854, 106),
        "nearest": (0.445, 119),
    },
    "llmrouter9": {
        "best single": (0.623, 834),
        "random": (0.427, 397),
        "oracle": (0.803, 168),
        "nearest": (0.508, 164),
    },
}
LEAST_GUARDED = {"zeroeval_small": None, "zeroeval_wide": 12.0, "llmrouter9": 20.0}
LEAST_TUNED = {"zeroeval_small": 8.0, "zeroeval_wide": 39.0, "llmrouter9": 76.0}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tables", nargs="*", default=list(KNOWN), choices=list(KNOWN))
    parser.add_argument("--no-written", action="store_true", help="Leave typos and other framings out: much faster.")
    parser.add_argument("--only", choices=["million", "embedding"], help="One part alone.")
    parser.add_argument("--known", type=int, default=1_000_000, help="Known prompts of the part million.")
    options = parser.parse_args()
    if options.only == "million":
        return decide_among(options.known)

    import django

    from tests import environment  # noqa: F401  a var directory of the tests' own, before settings are read

    django.setup()
    logging.disable(logging.WARNING)
    shown = Shown()
    if options.only == "embedding":
        compare_variants(shown, tables=TABLES, names=options.tables, cache=CACHE)
        print(f"missed: {', '.join(shown.missed) or 'none'}")  # noqa: T201
        return 0
    print(f"load of the machine before: {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores")  # noqa: T201
    with threadpool_limits(1, user_api="blas"):  # as the web process has it
        _decisions(shown)
    if not TABLES.is_dir():
        shown.skipped("tables of real outcomes", f"{TABLES} is not here")
    else:
        _tables(shown, options)
    print(f"missed: {', '.join(shown.missed) or 'none'}")  # noqa: T201
    return 0


def _tables(shown: Shown, options: argparse.Namespace) -> None:
    from django.conf import settings

    from greenllm.embedded.catalog import embedded_services
    from greenllm.embedded.supervisor import Supervisor

    with Supervisor(settings.EMBEDDED, embedded_services(settings.EMBEDDED, ["llm"])) as supervisor:
        supervisor.wait_ready("llm")
        for name in options.tables:
            _table(shown, name, options)


def embedded_tables(names: Sequence[str]) -> Iterator[tuple[str, object]]:
    """Read tables of outcomes and embed their prompts, with the embedder started where it is needed."""
    from django.conf import settings

    from benchmarks.datasets.outcomes import read_outcomes
    from benchmarks.inference.ollama import OllamaClient
    from benchmarks.models import LanguageModel
    from greenllm.embedded.catalog import embedded_services
    from greenllm.embedded.supervisor import Supervisor
    from router.assessing import table_of
    from router.embedding import Embedder
    from router.remembered import RememberedEmbedder

    with Supervisor(settings.EMBEDDED, embedded_services(settings.EMBEDDED, ["llm"])) as supervisor:
        supervisor.wait_ready("llm")
        client = OllamaClient(settings.EMBEDDER_HOST)
        model = LanguageModel(name=settings.EMBEDDER_NAME, digest=_digest(client, settings.EMBEDDER_NAME))
        embedder = RememberedEmbedder(Embedder(model, client), folder=CACHE)
        for name in names:
            yield name, table_of(read_outcomes(TABLES / name), embedder=embedder)


def _table(shown: Shown, name: str, options: argparse.Namespace) -> None:
    from django.conf import settings

    from benchmarks.datasets.outcomes import read_outcomes
    from benchmarks.inference.ollama import OllamaClient
    from benchmarks.models import LanguageModel
    from router.assessing import table_of, written_otherwise
    from router.embedding import Embedder
    from router.evaluation.report import report
    from router.evaluation.running import run, usual_approaches
    from router.remembered import RememberedEmbedder

    client = OllamaClient(settings.EMBEDDER_HOST)
    model = LanguageModel(name=settings.EMBEDDER_NAME, digest=_digest(client, settings.EMBEDDER_NAME))
    embedder = RememberedEmbedder(Embedder(model, client), folder=CACHE)
    begun = time.perf_counter()
    table = table_of(read_outcomes(TABLES / name), embedder=embedder)
    written = None if options.no_written else written_otherwise(table, embedder=embedder, seed=options.seed)
    embedded = time.perf_counter()
    found = report(
        run(table, approaches=usual_approaches(), split_count=options.splits, seed=options.seed, written=written)
    )
    print(  # noqa: T201
        f"\n{name}: {found.text_count} prompts, {found.split_count} splits; embeddings {embedded - begun:.0f} s, "
        f"evaluation {time.perf_counter() - embedded:.0f} s"
    )
    for row in found.rows:
        change, saving = row.accuracy_change, row.saving
        print(  # noqa: T201
            f"  {row.title:36} {row.accuracy.value:.3f} @ {row.cost.value:6.1f} J, {100 * change.value:+.2f} "
            f"[{100 * change.low:+.2f}, {100 * change.high:+.2f}] points, saves {100 * saving.value:.1f} "
            f"[{100 * saving.low:.1f}, {100 * saving.high:.1f}] %, worst {100 * row.worst_change:+.1f}"
        )
    _judge(shown, name, found)


def _digest(client: object, name: str) -> str:
    """Return the digest of the embedder's weights, once the server has prepared it."""
    from benchmarks.inference.base import RefusedForNow
    from benchmarks.inference.ollama import OllamaClient

    assert isinstance(client, OllamaClient)
    deadline = time.monotonic() + 120
    while True:
        try:
            return client.describe(name).digest or ""
        except RefusedForNow:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def _judge(shown: Shown, name: str, found: object) -> None:
    from router.evaluation.report import Report

    assert isinstance(found, Report)
    n = found.split_count
    for title, (accuracy, cost) in KNOWN[name].items():
        row = found.row(title)
        gap = 100 * (row.accuracy.value - accuracy)
        shown.row(
            f"{name}: {title} against routing.md ({accuracy:.3f} @ {cost} J)",
            f"{row.accuracy.value:.3f} @ {row.cost.value:.0f} J", "within 1.5 points", is_ok=abs(gap) <= 1.5, n=n,
        )  # fmt: skip
    guarded, least = found.row("guarded"), LEAST_GUARDED[name]
    change = guarded.accuracy_change
    shown.row(
        f"{name}: guarded, accuracy", f"{100 * change.value:+.2f} [{100 * change.low:+.2f}, {100 * change.high:+.2f}]",
        "> -0.7, low > -1.5", is_ok=change.value > -0.007 and change.low > -0.015, n=n,
    )  # fmt: skip
    shown.row(
        f"{name}: guarded, saving", f"{100 * guarded.saving.value:.1f} %", f">= {least:g} %" if least else "",
        is_ok=None if least is None else 100 * guarded.saving.value >= least, n=n,
    )  # fmt: skip
    for title in ("knn, neighbours", "knn, regression"):
        row, least = found.row(title), LEAST_TUNED[name]
        saving, loss = 100 * row.saving.value, 100 * row.accuracy_change.value
        shown.row(
            f"{name}: {title}, tuned for -1", f"{saving:.1f} % at {loss:+.2f}", f">= {least:g} % at >= -1.3",
            is_ok=saving >= least and loss >= -1.3, n=n,
        )  # fmt: skip
        error = found.calibration[title]["expected_error"]
        shown.row(f"{name}: {title}, calibration error", f"{error:.3f}", "<= 0.05", is_ok=error <= 0.05, n=n)
    for one in found.steadiness:
        moved, spent = 100 * one["accuracy_change"], 100 * one["cost_change"]
        is_judged = one["written"] == "typos" and one["policy"] != "category, label known"
        shown.row(
            f"{name}: {one['policy']}, {one['written']}",
            f"{100 * one['unchanged']:.0f} % same, {moved:+.2f}, {spent:+.1f} %",
            "< 1 point, < 5 %" if is_judged else "",
            is_ok=abs(moved) < 1 and abs(spent) < 5 if is_judged else None, n=one["n"],
        )  # fmt: skip


def _decisions(shown: Shown, *, prompt_count: int = 10_000, model_count: int = 20, asked: int = 500) -> None:
    """Time a decision among made-up prompts, one at a time, without its embedding."""
    from router.estimate import Estimator, Known
    from router.policies import Guarded, Knn, Nearest

    chance = np.random.default_rng(0)
    vectors = chance.normal(size=(prompt_count + asked, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = (chance.random((prompt_count, model_count)) < 0.6).astype(np.float64)
    known = Known(
        vectors[:prompt_count], chance.integers(0, 8, prompt_count), scores, np.ones(scores.shape, dtype=np.int64),
        chance.lognormal(size=scores.shape),
    )  # fmt: skip
    _live_choices(shown, known, vectors[prompt_count:], chance)
    for policy in (Nearest(), Knn(sci_price=0.1), Guarded()):
        estimator = Estimator(known, policy.shrinkage)
        spent = []
        for row in range(prompt_count, prompt_count + asked):
            begun = time.perf_counter()
            policy.choose(estimator, estimator.estimate(vectors[[row]]))
            spent.append(1000 * (time.perf_counter() - begun))
        p95 = float(np.quantile(spent, 0.95))
        shown.below(f"decision by {policy.name}, 10,000 prompts, 20 models, p95", p95, 2, "ms", n=asked)


def _live_choices(shown: Shown, known: "Known", asked: np.ndarray, chance: np.random.Generator) -> None:
    """Time what the live router does after the embedding, with its words, but for its queries."""
    from router.adjusting import Adjusting, Conditions
    from router.estimate import Estimator
    from router.knowledge import Column, Knowledge
    from router.length import Asked
    from router.models import PolicyVersion
    from router.regression import RegressionEstimator
    from router.vectors import cosines_of, nearest, squared_lengths, usual_distance
    from router.weighing import neighbour_count_of, weigh

    words = np.array([f"word{number}" for number in range(20_000)])
    popular = 1 / np.arange(1, len(words) + 1)
    count, model_count = known.scores.shape
    drawn = chance.choice(words, size=(count + len(asked), 40), p=popular / popular.sum())
    texts = [" ".join(row) for row in drawn]
    begun = time.perf_counter()
    by_regression = RegressionEstimator(known, texts[:count])
    shown.row("regression, fitting 10,000 prompts, 20 models", f"{time.perf_counter() - begun:.1f} s")
    begun = time.perf_counter()
    novelty = usual_distance(known.vectors)
    shown.row("distance above which a prompt is unknown", f"{time.perf_counter() - begun:.2f} s")
    by_neighbours, lengths = Estimator(known), squared_lengths(known.vectors)
    columns = tuple(Column(number, f"model-{number}", "measured", True) for number in range(model_count))
    knowledge = Knowledge(("",), np.arange(count), tuple("abcdefgh"), columns, by_neighbours, novelty)
    for policy, estimator in (("guarded", by_neighbours), ("knn", by_neighbours), ("knn", by_regression)):
        version = PolicyVersion(policy=policy, sci_price=0.1, novelty=4.0)
        spent = []
        for vector, text in zip(asked, texts[count:], strict=True):
            begun = time.perf_counter()
            found = nearest(known.vectors, knowledge.prompt_ids, vector, neighbour_count_of(version), lengths=lengths)
            around = estimator.around(knowledge.rows_of(found), cosines_of(found))
            adjusting = Adjusting({}, Conditions(Asked.of_prompt(text)), {})
            weigh(version=version, knowledge=knowledge, estimator=around, vector=vector, text=text, adjusting=adjusting)
            spent.append(1000 * (time.perf_counter() - begun))
        kind = "regression" if estimator is by_regression else "neighbours"
        name = f"live choice by {policy}, {kind}"
        shown.row(f"{name}, p50", f"{float(np.quantile(spent, 0.5)):.2f} ms", n=len(spent))
        shown.below(f"{name}, p95", float(np.quantile(spent, 0.95)), 2, "ms", n=len(spent))


if __name__ == "__main__":
    raise SystemExit(main())
