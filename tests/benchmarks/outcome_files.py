"""Small tables of outcomes, written as files, and the published ones that may lie beside the checkout."""

from collections.abc import Iterable
from pathlib import Path

import pytest

TABLES = Path(__file__).resolve().parents[3] / "shared" / "routing"
needs_published_tables = pytest.mark.skipif(not TABLES.is_dir(), reason=f"{TABLES} is not there")
PROMPTS = ["prompt_id,category,prompt", "a,math,2 + 2?", "b,math,3 + 3?", 'c,code,"def f(x):\n  ?"']
OUTCOMES = [
    "prompt_id,model,score,energy_j",
    "a,small,1,10",
    "b,small,0,12.5",
    "c,small,0.25,11",
    "a,large,1,100",
    "b,large,1,110",
    "c,large,0.5,120",
]


def write_outcomes(
    folder: Path, prompts: Iterable[str] | bytes = PROMPTS, outcomes: Iterable[str] | bytes = OUTCOMES
) -> Path:
    """Write the two files of a table into a folder and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (("prompts.csv", prompts), ("outcomes.csv", outcomes)):
        raw = content if isinstance(content, bytes) else ("\n".join(content) + "\n").encode()
        (folder / name).write_bytes(raw)
    return folder
