"""Data sets: the five published ones, each read from the raw file of its makers, and files of anyone's own."""

from benchmarks.datasets.gsm8k import GSM8K
from benchmarks.datasets.mbpp import MBPP
from benchmarks.datasets.petsql import PETSQL
from benchmarks.datasets.published import PublishedDataset
from benchmarks.datasets.webquestions import WEBQUESTIONS
from benchmarks.datasets.wmt import WMT18

DATASETS: dict[str, PublishedDataset] = {
    dataset.name: dataset for dataset in (MBPP, GSM8K, WEBQUESTIONS, PETSQL, WMT18)
}

__all__ = ["DATASETS", "PublishedDataset"]
