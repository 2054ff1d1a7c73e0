"""Small raw files in the form of each published data set, with items of our own."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.datasets import DATASETS, PublishedDataset

SHARED = Path(__file__).resolve().parents[4] / "shared" / "datasets"

GSM8K_RECORDS = [
    {"question": "Ann has 2 pens and buys 3. How many has she?", "answer": "2+3=<<2+3=5>>5 pens\n#### 5"},
    {"question": "A shop sells 1,200 cups. Each costs $2. What does it take?", "answer": "1200*2=2400\n#### 2,400"},
    {"question": "It is 3 degrees and gets 7 colder. What is it then?", "answer": "3-7=-4\n#### -4"},
]
MBPP_RECORDS = [
    {
        "text": "Write a function to add two numbers.",
        "code": "def half(a):\r\n  return a / 2\r\ndef add(a, b):\r\n  return a + b",
        "task_id": 1,
        "test_setup_code": "",
        "test_list": ["assert int(add(1, 2)) == 3", "assert add (0, 0) == 0"],
        "challenge_test_list": ["assert add(-1, 1) == 0"],
    },
    {
        "text": "Write a function to sum a list.",
        "code": "def sum(items):\n  return 0",
        "task_id": 2,
        "test_setup_code": "import math",
        "test_list": ["assert sum([]) == 0"],
        "challenge_test_list": [],
    },
]
WEBQUESTIONS_RECORDS = [
    {"url": "http://a.example/1", "targetValue": "(list (description Rome))", "utterance": "what is the capital?"},
    {
        "url": "http://a.example/2",
        "targetValue": '(list (description "The "Old" Bridge") (description 1967) (description ""Quoted""))',
        "utterance": "what is there?",
    },
]
PETSQL_RECORDS = [
    {
        "id": number,
        "db": database,
        "question": question,
        "gold_sql": gold,
        "simplified_ddl": "# Boat(id, name);\n# Crew(id, boat_id).\n",
        "full_ddl": "\nCREATE TABLE Boat(id NUMBER);\n",
        "foreign_key": ["Crew(boat_id) REFERENCES Boat(id)\nCrew(id) REFERENCES Boat(id)"],
    }
    for number, (database, question, gold) in enumerate(
        [
            ("harbour_1", "How many boats are there?", "SELECT count(*) FROM boat"),
            ("harbour_1", "Which boats, by name?", "SELECT name FROM boat ORDER  BY name"),
            ("harbour_2", "Who is the crew?", "SELECT id FROM crew"),
        ]
    )
]
WMT18_PAIRS = [("Guten Tag.", "Good day."), ("Müller & Söhne", "Miller & Sons"), ("Ende.", "The end.")]


def write_lines(path: Path, records: Sequence[Any]) -> Path:
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records), encoding="utf-8")
    return path


def write_array(path: Path, records: Sequence[Any]) -> Path:
    """Write a JSON array as its makers do, an item a line: the first one stands on line 2."""
    items = ",\n".join(f"  {json.dumps(record)}" for record in records)
    path.write_text(f"[\n{items}\n]\n", encoding="utf-8")
    return path


def write_pairs(folder: Path, pairs: Sequence[tuple[str, str]]) -> None:
    for index, name in enumerate(("newstest2018-deen-src.de", "newstest2018-deen-ref.en")):
        text = "".join(f"{pair[index]}\n" for pair in pairs)
        (folder / name).write_text(text, encoding="utf-8")


def small(name: str, item_count: int, **facts: Any) -> PublishedDataset:
    """Return a published data set as if it had only so many items."""
    return replace(DATASETS[name], item_count=item_count, **facts)
