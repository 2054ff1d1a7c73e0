"""A backup restored into an empty place, with its own data folder and its own services, while the original runs."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from django.core.management import call_command

from router.models import IndexedPrompt, PromptIndex
from router.wiring import vector_store
from tests import factories as make
from tests.chain.installation import Installation, installation
from tests.router.test_index import _sockets_closed
from tests.router.test_vectors import unit_rows

__all__ = ["_sockets_closed"]

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

_READ = """
import json
from router.models import GatewayRequest, PromptIndex
from router.wiring import vector_store
index = PromptIndex.objects.get(state="current")
pages = list(vector_store().pages(index.collection_name))
print(json.dumps({
    "ids": [one for ids, _ in pages for one in ids],
    "vectors": [row for _, rows in pages for row in rows.tolist()],
    "requests": list(GatewayRequest.objects.order_by("public_id").values_list("prompt_text", flat=True)),
}))
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Installation]:
    """An empty installation with services of its own."""
    with installation(tmp_path / "var", GREENLLM_CACHE="exact") as made:
        made.manage("services", "start")
        yield made
        made.manage("services", "stop")


def make_index(count: int) -> PromptIndex:
    """Make a current index of so many prompts, in Chroma too."""
    prompts = [make.make_prompt() for _ in range(count)]
    index = PromptIndex.objects.create(
        state="current", embedder=make.make_deployment("embedder").language_model, dimension=384, prompt_count=count
    )
    IndexedPrompt.objects.bulk_create(IndexedPrompt(index=index, prompt=prompt) for prompt in prompts)
    vector_store().write(index.collection_name, [prompt.pk for prompt in prompts], unit_rows(count, seed=5))
    return index


class TestAnEmptyPlace:
    def test_has_rows_and_vectors_while_the_original_runs(
        self, chroma: str, place: Installation, tmp_path: Path
    ) -> None:
        index = make_index(1203)
        make.make_gateway_request(prompt_text="planted")
        path = tmp_path / "all.backup"
        call_command("backup", str(path))
        told = place.manage("restore", str(path)).stdout
        assert "GREENLLM_CACHE was 'off' there, and is 'exact' here." in told
        found = json.loads(place.manage("shell", "--no-imports", "-c", _READ).stdout)
        pages = list(vector_store().pages(index.collection_name))
        assert found["requests"] == ["planted"]
        assert found["ids"] == [one for ids, _ in pages for one in ids]
        np.testing.assert_array_equal(
            np.array(found["vectors"], dtype=np.float32), np.concatenate([rows for _, rows in pages])
        )
        refused = place.manage("restore", str(path), check=False)
        assert refused.returncode == 1
        assert "The database is not empty" in refused.stderr
