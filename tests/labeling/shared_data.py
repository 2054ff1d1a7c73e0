"""The copies of the public data sets beside the checkout; a test that needs them says so where they are absent."""

import json
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(__file__).resolve().parents[3] / "shared" / "datasets"
needs_shared_data = pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} is not there")


def items(name: str) -> list[dict[str, Any]]:
    lines = (SHARED / f"{name}.jsonl").read_text(encoding="utf8").split("\n")
    return [json.loads(line) for line in lines if line]
