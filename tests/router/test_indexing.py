from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from benchmarks.inference.base import ServerUnreachable
from benchmarks.metering import Metering
from benchmarks.recording import ChannelRecord, RecordingError
from router.embedding import EmbedderMismatch
from router.index import IndexStoreError
from router.indexing import NoIndex, build_index, current_index, delete_replaced, text_of
from router.models import IndexedPrompt, PromptIndex
from router.vectors import UnusableEmbedding
from tests import factories as make
from tests.router.standins import DIMENSION, ForgetfulClient, MemoryStore, WordClient, make_embedder, make_index

pytestmark = pytest.mark.django_db


class TestBuildIndex:
    def test_makes_the_index_current_with_its_facts(self) -> None:
        prompts, store = [make.make_prompt(), make.make_prompt()], MemoryStore()
        moments = iter([make.NOW, make.NOW + timedelta(seconds=3)])
        index = make_index(prompts, embedder=make_embedder(), store=store, clock=lambda: next(moments))
        assert current_index() == index
        assert (index.state, index.prompt_count, index.dimension) == ("current", 2, DIMENSION)
        assert (index.built_at, index.build_duration_s) == (make.NOW + timedelta(seconds=3), 3.0)
        assert set(index.entries.values_list("prompt_id", flat=True)) == {prompt.pk for prompt in prompts}
        assert store.collections[index.collection_name][0].tolist() == [prompt.pk for prompt in prompts]

    @pytest.mark.parametrize(("embedded_text", "sent"), [("item", "bare"), ("prompt", "Answer this: bare")])
    def test_embeds_what_was_asked_for(self, embedded_text: str, sent: str) -> None:
        prompt, client = make.make_prompt("Answer this: bare", item_text="bare"), WordClient()
        make_index([prompt], embedder=make_embedder(client), store=MemoryStore(), embedded_text=embedded_text)
        assert client.texts == [sent]
        assert text_of(prompt, embedded_text) == sent

    def test_replaces_the_current_one(self) -> None:
        embedder, store, prompt = make_embedder(), MemoryStore(), make.make_prompt()
        first = make_index([prompt], embedder=embedder, store=store)
        second = make_index([prompt], embedder=embedder, store=store)
        first.refresh_from_db()
        assert (first.state, current_index()) == ("replaced", second)

    def test_refuses_to_index_nothing_and_leaves_no_row(self) -> None:
        with pytest.raises(NoIndex, match=r"no training prompts to index; import some with manage\.py import_prompts"):
            make_index([], embedder=make_embedder(), store=MemoryStore())
        assert not PromptIndex.objects.exists()

    @pytest.mark.parametrize(
        ("client", "store_failure", "raised"),
        [
            pytest.param(
                WordClient(failure=ServerUnreachable("http://gone", "refused")),
                None,
                ServerUnreachable,
                id="embedder away",
            ),
            pytest.param(WordClient(), IndexStoreError("Chroma is away."), IndexStoreError, id="Chroma away"),
            pytest.param(ForgetfulClient(), None, UnusableEmbedding, id="a vector too few"),
        ],
    )
    def test_keeps_the_current_one_where_a_rebuild_fails(
        self, client: WordClient, store_failure: Exception | None, raised: type[Exception]
    ) -> None:
        store = MemoryStore()
        kept = make_index([make.make_prompt()], embedder=make_embedder(), store=store)
        store.failure = store_failure
        with pytest.raises(raised):
            make_index([make.make_prompt()], embedder=make_embedder(client), store=store)
        failed = PromptIndex.objects.get(state="failed")
        assert failed.error.startswith(raised.__name__)
        assert current_index() == kept
        assert not IndexedPrompt.objects.filter(index=failed).exists()

    def test_is_linked_to_the_measurement_of_embeddings_and_insertion(self) -> None:
        class NoMeter:
            def ensure_running(self, *, period_ns: int) -> None:
                raise RecordingError("No meter is there.", is_retryable=False)

            def records(self, *, start_ns: int, stop_ns: int) -> tuple[ChannelRecord, ...]:
                raise AssertionError("nothing was sampled")

        store = MemoryStore()
        metering = Metering(make.make_machine(), NoMeter(), now=lambda: make.NOW)
        index = make_index([make.make_prompt()], embedder=make_embedder(), store=store, metering=metering)
        assert current_index() == index
        assert index.measurement is not None
        assert (index.measurement.purpose, index.measurement.missing_reason) == ("index_build", "No meter is there.")
        assert index.collection_name in store.collections

    def test_tells_how_far_it_is(self) -> None:
        told: list[int] = []
        prompts = [make.make_prompt() for _ in range(40)]
        make_index(prompts, embedder=make_embedder(), store=MemoryStore(), on_progress=told.append)
        assert told == [32, 40]


class TestCurrentIndex:
    def test_tells_what_to_do_where_there_is_none(self) -> None:
        with pytest.raises(NoIndex, match=r"No index has been built yet; build one with manage\.py build_index"):
            current_index()

    def test_refuses_an_embedder_of_other_weights(self) -> None:
        make_index([make.make_prompt()], embedder=make_embedder(digest="old-weights"), store=MemoryStore())
        with pytest.raises(EmbedderMismatch, match=r"\(old-weights\).*\(new-weights\).*manage\.py build_index"):
            current_index(embedder=make_embedder(digest="new-weights"))

    def test_is_one_only(self) -> None:
        embedder = make_embedder()
        make_index([make.make_prompt()], embedder=embedder, store=MemoryStore())
        with pytest.raises(IntegrityError, match="prompt_index_one_current"), transaction.atomic():
            PromptIndex.objects.create(
                embedder=embedder.language_model, state="current", dimension=DIMENSION, prompt_count=1
            )

    def test_is_whole(self) -> None:
        with pytest.raises(IntegrityError, match="prompt_index_current_is_whole"), transaction.atomic():
            PromptIndex.objects.create(embedder=make_embedder().language_model, state="current", prompt_count=0)


class TestDeleteReplaced:
    def test_keeps_the_current_one_and_the_latest_of_the_replaced(self) -> None:
        embedder, store, prompt = make_embedder(), MemoryStore(), make.make_prompt()
        made = [
            build_index(
                prompts=[prompt],
                embedder=embedder,
                store=store,
                embedded_text="item",
                clock=lambda number=number: make.NOW + timedelta(hours=number),  # type: ignore[misc]
            )
            for number in range(4)
        ]
        assert delete_replaced(store=store, keep=1) == 2
        assert list(store.collections) == [index.collection_name for index in made[2:]]
        assert PromptIndex.objects.count() == 4
