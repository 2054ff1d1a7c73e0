"""The families and their bounds; what is counted for a request is tested at the endpoint."""

from pathlib import Path

import pytest
from prometheus_client import Counter, Summary
from prometheus_client.parser import text_string_to_metric_families

from router import metrics
from router.metrics import OTHERS, REGISTRY, Names, series

ROOT = Path(__file__).resolve().parent.parent.parent
FAMILIES = [family.name for family in REGISTRY.collect()]


class TestNames:
    def test_are_bounded_and_stay_what_they_were(self) -> None:
        names = Names(2)
        assert [names(name) for name in ("a", "b", "c", "a", "d")] == ["a", "b", OTHERS, "a", OTHERS]


class TestSeries:
    def test_is_the_one_of_its_labels(self) -> None:
        family = Counter("series_of_a_test", "Of a test.", ("model", "kind"), registry=None)
        kept = [series(family, "small", "prompt") for _ in range(2)]
        series(family, "small", "output").inc(5)
        kept[0].inc()
        kept[1].inc()
        assert family.labels("small", "prompt")._value.get() == 2


class TestFamilies:
    def test_are_there(self) -> None:
        assert len(FAMILIES) == len(set(FAMILIES)) >= 17

    @pytest.mark.parametrize(
        "name", [*FAMILIES, "greenllm_jobs", "greenllm_python_blocks", "greenllm_malloc_used_bytes"]
    )
    def test_are_documented(self, name: str) -> None:
        assert f"`{name}" in (ROOT / "docs" / "metrics.md").read_text(encoding="utf8")

    @pytest.mark.parametrize(
        "family", [one for one in vars(metrics).values() if isinstance(one, Counter | Summary)], ids=str
    )
    def test_have_no_label_that_any_caller_could_fill(self, family: Counter | Summary) -> None:
        assert not {"prompt", "requested_model", "request", "user", "secret"} & set(family._labelnames)


class TestScraped:
    def test_has_no_series_of_when_a_counter_began(self) -> None:
        from prometheus_client import generate_latest

        text = generate_latest(metrics.scraped(folder=None)).decode()
        names = [sample.name for family in text_string_to_metric_families(text) for sample in family.samples]
        assert "process_resident_memory_bytes" in names
        assert not [name for name in names if name.endswith("_created")]
