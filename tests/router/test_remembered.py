"""Embeddings that are kept: each text is asked for once, and a damaged file costs no more than asking again."""

from pathlib import Path
from typing import cast

import numpy as np

from benchmarks.inference.base import InferenceClient
from benchmarks.models import LanguageModel
from router.embedding import Embedder
from router.remembered import RememberedEmbedder
from tests.router.standins import WordClient


def remembered(client: WordClient, folder: Path, *, digest: str = "abc") -> RememberedEmbedder:
    model = LanguageModel(name="all-minilm", digest=digest)
    return RememberedEmbedder(Embedder(model, cast(InferenceClient, client)), folder=folder)


def test_asks_for_each_text_once(tmp_path: Path) -> None:
    client = WordClient()
    first = remembered(client, tmp_path).embed(["one", "two", "one"])
    again = remembered(client, tmp_path).embed(["two", "three", "one"])
    assert client.batches == [["one", "two"], ["three"]]
    assert np.array_equal(first[0], first[2])
    assert np.array_equal(again[[2, 0]], first[:2])


def test_keeps_those_of_other_weights_apart(tmp_path: Path) -> None:
    client = WordClient()
    remembered(client, tmp_path).embed(["one"])
    remembered(client, tmp_path, digest="other").embed(["one"])
    assert client.batches == [["one"], ["one"]]


def test_begins_anew_with_a_damaged_file(tmp_path: Path) -> None:
    client = WordClient()
    remembered(client, tmp_path).embed(["one"])
    (path,) = tmp_path.glob("*.npz")
    path.write_bytes(path.read_bytes()[:-30])
    assert remembered(client, tmp_path).embed(["one"]).shape[0] == 1
    assert client.batches == [["one"], ["one"]]


def test_tells_how_many_of_all_it_has(tmp_path: Path) -> None:
    told: list[int] = []
    embedder = remembered(WordClient(), tmp_path)
    embedder.embed(["one"])
    embedder.embed(["one", "two", "three"], on_progress=told.append)
    assert told == [3]
