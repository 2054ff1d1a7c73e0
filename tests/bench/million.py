"""A decision among a million known prompts: `make bench-router BENCH="--only million"`.

The prompts, twenty models and an answer of each to every prompt are made in Postgres by SQL, the vectors by chance, and
both are kept with the built index in a folder (GREENLLM_BENCH_CACHE, else ~/.cache/greenllm-bench): building takes most
of an hour, measuring some minutes. The decision is the product's own, but for the embedding.
"""

import os
import resource
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.bench.known_vectors import vectors_of
from tests.bench.table import Table as Shown

if TYPE_CHECKING:
    from greenllm.embedded.supervisor import Supervisor
    from router.index import VectorStore
    from router.models import PromptIndex

CACHE = Path(os.environ.get("GREENLLM_BENCH_CACHE") or Path.home() / ".cache" / "greenllm-bench")
MODELS = 20
ASKED = 500
_LIMIT_MS = 15.0
_UNANSWERED = "the answers of its prompts are being made"
_AT_ONCE = 20_000  # prompts of which one statement makes the answers
_PROMPTS = """
INSERT INTO benchmarks_prompt (dataset_id, category_id, position, external_id, text, item_text, {fields})
SELECT %(dataset)s, %(first)s + n %% %(kinds)s, n, 'known-' || n, 'Known prompt ' || n, 'Known prompt ' || n, {values}
FROM generate_series(1, %(count)s) AS n
"""
_ANSWERS = """
WITH asked AS MATERIALIZED (
    SELECT prompt.id AS prompt_id, model.id AS deployment_id, model.place,
           nextval('benchmarks_measurement_id_seq') AS measurement_id, nextval('benchmarks_response_id_seq') AS id
    FROM benchmarks_prompt AS prompt
    CROSS JOIN unnest(%(deployments)s::bigint[]) WITH ORDINALITY AS model (id, place)
    WHERE prompt.id BETWEEN %(low)s AND %(high)s
), measured AS (
    INSERT INTO benchmarks_measurement (id, purpose, energy_j, quality, missing_reason, boundary, sci_gco2e,
        is_low_precision, is_shared, method_version, carbon_intensity_source)
    SELECT measurement_id, 'imported', 1, 'estimated', '', '', exp(place / 5.0 + random()), false, false, '', ''
    FROM asked
), answered AS (
    INSERT INTO benchmarks_response (id, study_id, deployment_id, prompt_id, parameter_set_id, repeat, sequence, state,
        error, text, thinking_text, answered_by, gateway_request_public_id, done_reason, measurement_id, finished_at)
    SELECT id, %(study)s, deployment_id, prompt_id, %(parameters)s, 1, id %% 2000000000, 'finished', '',
        'An answer of some words.', '', '', '', 'stop', measurement_id, now() FROM asked
)
INSERT INTO labeling_label (response_id, verdict, source, comment, is_current, void_reason, created_at)
SELECT id, CASE WHEN random() < 0.4 + place / 50.0 THEN 'correct' ELSE 'incorrect' END, 'imported', '', true, '', now()
FROM asked
"""


def decide_among(count: int) -> int:
    """Measure decisions among so many known prompts, after building what is not kept yet."""
    folder = CACHE / f"known-{count}"
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "greenllm.settings")
    from tests.environment import test_environment

    os.environ.update(test_environment(folder))
    import django

    django.setup()
    from django.conf import settings

    from greenllm.embedded.catalog import embedded_services
    from greenllm.embedded.supervisor import Supervisor
    from router.index import VectorStore

    shown = Shown()
    print(f"load of the machine before: {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores; kept in {folder}")  # noqa: T201
    with Supervisor(settings.EMBEDDED, embedded_services(settings.EMBEDDED, ["postgres", "chroma"])) as services:
        services.wait_ready("postgres")
        services.wait_ready("chroma")
        store = VectorStore(
            chroma_url=settings.CHROMA_URL, cache_dir=folder / "index", exact_limit=min(count - 1, 100_000)
        )
        index = _prompts(count)
        with ThreadPoolExecutor() as both:  # Postgres and Chroma each keep one core busy
            for part in (both.submit(_answers, shown, index), both.submit(_vectors, shown, store, index)):
                part.result()
        _decisions(shown, store, index)
        _memory(shown, services)
    print(f"missed: {', '.join(shown.missed) or 'none'}")  # noqa: T201
    return 0


def _prompts(count: int) -> "PromptIndex":
    """Return the index of the made-up prompts; its error is empty once they have their answers."""
    from django.core.management import call_command
    from django.db import connection
    from django.utils import timezone

    from benchmarks.models import LanguageModel, Prompt
    from router.models import PromptIndex
    from tests import factories as make

    call_command("migrate", verbosity=0)
    found = PromptIndex.objects.filter(state=PromptIndex.State.CURRENT).select_related("embedder").first()
    if found is not None:
        return found
    made = [make.make_prompt("made up", category=f"kind-{number}") for number in range(8)]
    Prompt.objects.all().delete()
    own = {"id", "dataset_id", "category_id", "position", "external_id", "text", "item_text"}
    left = {
        field.column: _as_sql(field.value_from_object(made[0]))
        for field in Prompt._meta.concrete_fields
        if field.column not in own
    }
    query = _PROMPTS.format(
        fields=", ".join(f'"{name}"' for name in left), values=", ".join(f"%({name})s" for name in left)
    )
    facts = {"dataset": made[0].dataset_id, "first": made[0].category_id, "kinds": len(made), "count": count}
    embedder = LanguageModel.objects.create(name="all-minilm", digest="made-up", purpose="embedding")
    index = PromptIndex.objects.create(embedder=embedder, embedded_text="item")
    with connection.cursor() as cursor:
        cursor.execute(query, facts | left)
        cursor.execute(
            "INSERT INTO router_indexedprompt (index_id, prompt_id) SELECT %s, id FROM benchmarks_prompt", [index.pk]
        )
    index.dimension, index.prompt_count, index.built_at = 384, count, timezone.now()
    index.state, index.error = PromptIndex.State.CURRENT, _UNANSWERED
    index.save()
    return index


def _answers(shown: Shown, index: "PromptIndex") -> None:
    """Let twenty models answer every prompt, from where an earlier run ended."""
    from django.db import connection
    from django.db.models import Max

    from benchmarks.models import Deployment, Response, Study
    from tests import factories as make

    if not index.error:
        return
    if not Deployment.objects.exists():
        server = make.make_server()
        for number in range(MODELS):
            make.make_deployment(f"model-{number:02}", server=server)
        make.make_study()
    deployments = list(Deployment.objects.order_by("pk").values_list("pk", flat=True))
    study = Study.objects.get()
    given = {"deployments": deployments, "study": study.pk, "parameters": study.parameter_sets.get().pk}
    begun = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        cursor.execute("SET session_replication_role = replica")  # no checks of foreign keys, row by row
        cursor.execute("SELECT min(id), max(id) FROM benchmarks_prompt")
        lowest, highest = cursor.fetchone()
        done = Response.objects.aggregate(Max("prompt_id"))["prompt_id__max"]
        for low in range(lowest if done is None else done + 1, highest + 1, _AT_ONCE):
            cursor.execute(_ANSWERS, given | {"low": low, "high": low + _AT_ONCE - 1})
            _tell(low - lowest + _AT_ONCE, index.prompt_count, "prompts answered")
        cursor.execute("ANALYZE")
    index.error = ""
    index.save(update_fields=["error"])
    count = MODELS * index.prompt_count
    shown.row(f"making {count:,} answers in Postgres", f"{(time.perf_counter() - begun) / 60:.1f} min")
    connection.close()


def _as_sql(value: Any) -> Any:
    from psycopg.types.json import Jsonb

    return Jsonb(value) if isinstance(value, dict | list) else value


def _tell(done: int, count: int, what: str) -> None:
    print(f"\r{min(done, count):,} of {count:,} {what}", end="\n" if done >= count else "", flush=True)  # noqa: T201


def _vectors(shown: Shown, store: "VectorStore", index: "PromptIndex") -> None:
    from router.index import IndexStoreError
    from router.models import IndexedPrompt

    made = vectors_of(index.prompt_count + ASKED)
    try:
        store.nearest(index.collection_name, made[0], 1, index.prompt_count)
        is_built = (store.cache_dir / "built").exists()
    except IndexStoreError:
        is_built = False
    if is_built:
        return
    entries = IndexedPrompt.objects.filter(index=index).order_by("prompt_id")
    begun = time.perf_counter()
    store.write(index.collection_name, list(entries.values_list("prompt_id", flat=True)), made[: index.prompt_count])
    spent = time.perf_counter() - begun
    store.cache_dir.mkdir(exist_ok=True)
    (store.cache_dir / "built").touch()
    shown.row(f"insertion of {index.prompt_count:,} vectors into Chroma", f"{spent / 60:.1f} min", "about 20 min")


def _decisions(shown: Shown, store: "VectorStore", index: "PromptIndex") -> None:
    from router.large_keeping import large_keeper_of
    from router.models import PolicyVersion

    begun = time.perf_counter()
    large_keeper_of(store).current(index, is_patient=True)
    shown.row("sums of all that is known, made or read from the file", f"{time.perf_counter() - begun:.1f} s")
    made = vectors_of(index.prompt_count + ASKED)
    known, asked = made[: index.prompt_count], made[index.prompt_count :]
    _recall(shown, store, index, known, asked)
    del made, known
    for policy in (PolicyVersion.Policy.GUARDED, PolicyVersion.Policy.KNN, PolicyVersion.Policy.NEAREST):
        PolicyVersion.objects.create(policy=policy, sci_price=0.01)
        searched, spent = _routed(store, index, asked)
        name = f"{policy.value}, {index.prompt_count:,} prompts, {MODELS} models"
        shown.row(f"{name}: search, p50 and p95", _both(searched), n=len(searched))
        shown.row(f"{name}: decision, p50 and p95", _both(spent), n=len(spent))
        shown.below(f"{name}: decision, p95", float(np.quantile(spent, 0.95)), _LIMIT_MS, "ms", n=len(spent))


def _both(spent: Sequence[float]) -> str:
    return f"{np.quantile(spent, 0.5):.1f}, {np.quantile(spent, 0.95):.1f} ms"


def _routed(store: "VectorStore", index: "PromptIndex", asked: np.ndarray) -> tuple[list[float], list[float]]:
    """Return the milliseconds of the searches and of whole decisions, one prompt after the other."""
    from router.routing import route

    searched, spent = [], []
    for number, vector in enumerate(asked):
        embedder = _Given(index.embedder, vector)
        begun = time.perf_counter()
        found = route(prompt_text=f"a prompt {number}", embedder=embedder, store=store)  # type: ignore[arg-type]
        spent.append(1000 * (time.perf_counter() - begun))
        searched.append(found.search_ms)
    return searched, spent


class _Given:
    """An embedder whose vector is there already."""

    def __init__(self, language_model: Any, vector: np.ndarray) -> None:
        self.language_model, self._vector = language_model, vector

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        return self._vector[None]


def _recall(
    shown: Shown, store: "VectorStore", index: "PromptIndex", known: np.ndarray, asked: np.ndarray, *, count: int = 50
) -> None:
    """Tell how many of the 50 nearest Chroma names, and how often the nearest."""
    from router.models import IndexedPrompt

    ids = np.array(IndexedPrompt.objects.filter(index=index).order_by("prompt_id").values_list("prompt_id", flat=True))
    named, first = 0, 0
    for vector in asked[:100]:
        cosines = known @ vector
        nearest = set(ids[np.argpartition(-cosines, count)[:count]].tolist())
        found = [one.prompt_id for one in store.nearest(index.collection_name, vector, count, index.prompt_count)]
        named += len(nearest & set(found))
        first += int(ids[int(np.argmax(cosines))]) in found[:1]
    shown.row("of the 50 nearest, named by Chroma", f"{named / 50:.1f} %", n=100)
    shown.row("the nearest, named by Chroma", f"{first} %", n=100)


def _memory(shown: Shown, services: "Supervisor") -> None:
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    shown.row("peak memory of this process, its made-up vectors with it", f"{peak_mb:.0f} MB")
    for record in services.statuses():
        if record.name == "chroma" and record.pid is not None:
            pages = int(Path(f"/proc/{record.pid}/statm").read_text(encoding="ascii").split()[1])
            shown.row("memory of the Chroma server", f"{pages * os.sysconf('SC_PAGE_SIZE') / 2**20:.0f} MB")
