"""Build the index of known prompts, and find the one that is current."""

import contextlib
from collections.abc import Callable, Collection, Sequence
from datetime import datetime

import numpy as np
from django.db import transaction

from benchmarks.metering import Metering, measure_activity
from benchmarks.models import Measurement, Prompt, Study
from router.embedding import Embedder, EmbedderMismatch
from router.index import IndexStoreError, VectorStore
from router.models import IndexedPrompt, PromptIndex
from router.vectors import Matrix


class NoIndex(LookupError):
    """No index has been built yet, or not of these prompts."""


def build_index(
    *,
    prompts: Sequence[Prompt],
    embedder: Embedder,
    store: VectorStore,
    embedded_text: str,
    clock: Callable[[], datetime],
    on_progress: Callable[[int], None] | None = None,
    metering: Metering | None = None,
) -> PromptIndex:
    """Embed prompts into a new index and make it the current one; until then the old one stays in use.

    With a metering, the energy of the embeddings and of the insertion is measured; where that fails the index is
    built all the same, and its measurement says why.

    Raises:
        NoIndex: there are no prompts to index.
        InferenceError, IndexStoreError, UnusableEmbedding: embedding or storing failed; the row says why, and the
            index that was current still is.
    """
    if not prompts:
        raise NoIndex("There are no training prompts to index; import some with manage.py import_prompts.")
    started_at = clock()
    index = PromptIndex.objects.create(embedder=embedder.language_model, embedded_text=embedded_text)

    def fill() -> Matrix:
        filled = embedder.embed([text_of(prompt, embedded_text) for prompt in prompts], on_progress=on_progress)
        store.write(index.collection_name, [prompt.pk for prompt in prompts], filled)
        return filled

    try:
        if metering is None:
            matrix = fill()
        else:
            matrix, index.measurement = measure_activity(
                work=fill, purpose=Measurement.Purpose.INDEX_BUILD, metering=metering
            )
    except Exception as error:
        index.state = PromptIndex.State.FAILED
        index.error = f"{type(error).__name__}: {error}"
        index.save(update_fields=["state", "error"])
        with contextlib.suppress(IndexStoreError):  # a Chroma that is away keeps nothing either
            store.delete(index.collection_name)
        raise
    built_at = clock()
    index.dimension = matrix.shape[1]
    index.prompt_count = len(prompts)
    index.built_at = built_at
    index.build_duration_s = (built_at - started_at).total_seconds()
    return _make_current(index, prompts)


def _make_current(index: PromptIndex, prompts: Sequence[Prompt]) -> PromptIndex:
    with transaction.atomic():
        IndexedPrompt.objects.bulk_create(
            (IndexedPrompt(index=index, prompt=prompt) for prompt in prompts), batch_size=1000
        )
        PromptIndex.objects.filter(state=PromptIndex.State.CURRENT).update(state=PromptIndex.State.REPLACED)
        index.state = PromptIndex.State.CURRENT
        index.save()
    return index


def drop_from_index(*, prompt_ids: Collection[int], store: VectorStore, clock: Callable[[], datetime]) -> int:
    """Take prompts out of the index: a copy without them becomes current, and theirs are deleted from every other one.

    The vectors are copied, so that nothing is embedded anew; rows stay, because decisions name them. Return how many of
    the prompts the current index knew.

    Raises:
        IndexStoreError: Chroma cannot be used; the index that was current still is.
    """
    current = PromptIndex.objects.filter(state=PromptIndex.State.CURRENT).first()
    known = set() if current is None else set(current.entries.values_list("prompt_id", flat=True))
    dropped = known & set(prompt_ids)
    if current is not None and dropped:
        _copy_without(current, dropped, store, clock)
    replaced = PromptIndex.objects.filter(state=PromptIndex.State.REPLACED, entries__prompt__in=prompt_ids).distinct()
    for index in replaced:
        store.delete(index.collection_name)
    return len(dropped)


def _copy_without(
    current: PromptIndex, dropped: Collection[int], store: VectorStore, clock: Callable[[], datetime]
) -> None:
    started_at = clock()
    ids, rows = [], []
    for some_ids, some_rows in store.pages(current.collection_name):
        is_kept = [one not in dropped for one in some_ids]
        ids += [one for one, kept in zip(some_ids, is_kept, strict=True) if kept]
        rows.append(some_rows[is_kept])
    if not ids:
        PromptIndex.objects.filter(pk=current.pk).update(state=PromptIndex.State.REPLACED)
        return
    copy = PromptIndex.objects.create(
        embedder_id=current.embedder_id, embedded_text=current.embedded_text, dimension=current.dimension
    )
    store.write(copy.collection_name, ids, np.concatenate(rows))
    copy.prompt_count, copy.built_at = len(ids), clock()
    copy.build_duration_s = (copy.built_at - started_at).total_seconds()
    _make_current(copy, list(Prompt.objects.filter(pk__in=ids).order_by("pk")))


def delete_replaced(*, store: VectorStore, keep: int = 1) -> int:
    """Delete the vectors of replaced indexes but for the latest ones; rows and decisions stay. Return how many."""
    replaced = PromptIndex.objects.filter(state=PromptIndex.State.REPLACED).order_by("-built_at", "-pk")[keep:]
    for index in replaced:
        store.delete(index.collection_name)
    return len(replaced)


def training_prompts(study: Study | None) -> list[Prompt]:
    """Return the training prompts that an index is made of: those of a study, or all."""
    prompts = Prompt.objects.for_training().select_related("category").order_by("pk")
    return list(prompts if study is None else prompts.filter(studies=study))


def text_of(prompt: Prompt, embedded_text: str) -> str:
    """Return the text of a prompt that an index of that kind embeds."""
    return prompt.item_text if embedded_text == PromptIndex.EmbeddedText.ITEM else prompt.text


def current_index(*, embedder: Embedder | None = None) -> PromptIndex:
    """Return the index that the router uses.

    Raises:
        NoIndex: none has been built yet.
        EmbedderMismatch: it was built with other weights than the embedder's.
    """
    index = PromptIndex.objects.select_related("embedder").filter(state=PromptIndex.State.CURRENT).first()
    if index is None:
        raise NoIndex("No index has been built yet; build one with manage.py build_index.")
    if embedder is not None and index.embedder_id != embedder.language_model.pk:
        raise EmbedderMismatch(
            f"The index was built with {index.embedder} ({index.embedder.digest[:12]}), the embedder now is "
            f"{embedder.language_model} ({embedder.language_model.digest[:12]}): their vectors cannot be compared. "
            f"Build the index again with manage.py build_index."
        )
    return index
