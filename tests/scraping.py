"""What `/metrics` tells, read as Prometheus reads it, and how it changed: the counters of a process begin with it."""

from collections.abc import Callable

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample


def samples_of(text: str) -> list[Sample]:
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


class Counted:
    """Sums of samples since it was made; `read` returns the text of a scrape."""

    def __init__(self, read: Callable[[], str]) -> None:
        self._read = read
        self._before = samples_of(read())

    def __call__(self, name: str, **labels: str) -> float:
        """Return by how much the samples of a name with these labels have grown, together."""
        return _sum(samples_of(self._read()), name, labels) - _sum(self._before, name, labels)

    def labels(self, name: str) -> list[dict[str, str]]:
        """Return the labels of the samples of a name that have grown."""
        grown = [one for one in samples_of(self._read()) if one.name == name]
        return [one.labels for one in grown if one.value > _sum(self._before, name, one.labels)]


def _sum(samples: list[Sample], name: str, labels: dict[str, str]) -> float:
    return sum(one.value for one in samples if one.name == name and labels.items() <= one.labels.items())
