"""What `/metrics` tells, read as Prometheus reads it, and how it changed: the counters of a process begin with it."""

from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample


def samples_of(text: str) -> list[Sample]:
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


@dataclass(frozen=True)
class Grown:
    """By how much the samples of one scrape have grown since those of another."""

    before: list[Sample]
    after: list[Sample]

    def __call__(self, name: str, **labels: str) -> float:
        """Return by how much the samples of a name with these labels have grown, together."""
        return _sum(self.after, name, labels) - _sum(self.before, name, labels)

    def labels(self, name: str) -> list[dict[str, str]]:
        """Return the labels of the samples of a name that have grown."""
        grown = [one for one in self.after if one.name == name]
        return [one.labels for one in grown if one.value > _sum(self.before, name, one.labels)]


class Counted:
    """Sums of samples since it was made; `read` returns the text of a scrape."""

    def __init__(self, read: Callable[[], str]) -> None:
        self._read = read
        self._before = samples_of(read())

    def now(self) -> Grown:
        """Scrape once; who asks several things of one moment need not scrape for each."""
        return Grown(self._before, samples_of(self._read()))

    def __call__(self, name: str, **labels: str) -> float:
        """Scrape, and return by how much the samples of a name with these labels have grown, together."""
        return self.now()(name, **labels)

    def labels(self, name: str) -> list[dict[str, str]]:
        """Scrape, and return the labels of the samples of a name that have grown."""
        return self.now().labels(name)


def _sum(samples: list[Sample], name: str, labels: dict[str, str]) -> float:
    return sum(one.value for one in samples if one.name == name and labels.items() <= one.labels.items())
