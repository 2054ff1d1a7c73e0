"""One answer of each category as models give them, graded by the real graders, for the tests of the page."""

import sqlite3
from contextlib import closing
from pathlib import Path

from benchmarks.models import Response
from labeling.grading import GRADERS
from labeling.grading.code import PythonAssertsGrader
from labeling.grading.sql import SqlExecutionGrader
from labeling.suggesting import suggest
from tests import factories as make
from tests.labeling.sandboxes import RecordingSandbox

MATH = """**Step 1.** Janet's ducks lay 16 eggs a day; she eats 3 and bakes with 4.

- Eggs left: 16 - 3 - 4 = 9
- At $2 each: 9*2*1 = $18

The answer is **18**."""
CODE = """Here is a function that does it:

```python
def total(numbers):
    \"\"\"Return the sum of a list of numbers.\"\"\"
    result = 0
    for number in numbers[1:]:  # every number
        result += number
    return result
```

It walks over the list once, so it takes time in proportion to its length."""
SQL = "```sql\nSELECT name, founded FROM club WHERE founded < 1880 ORDER BY founded\n```"
TRANSLATION = "The dog has not slept in the garden since yesterday."
ITEMS = {
    "math": ("Janet's ducks lay 16 eggs a day. She eats three for breakfast and bakes with four. She sells the rest at "
             "$2 each. How many dollars does she make a day?"),
    "code": "Write a function total(numbers) that returns the sum of a list of numbers.",
    "sql": "Which clubs were founded before 1880?",
    "questions": "What languages are spoken in Belgium?",
    "translation": "Die Katze schläft seit gestern im Garten.",
}  # fmt: skip
_CHECKS = {
    "math": {"kind": "number", "value": "18"},
    "code": {
        "kind": "python_asserts",
        "tests": ["assert total([1, 2, 3]) == 6", "assert total([]) == 0", "assert total([5]) == 5"],
        "entry_point": "total",
    },
    "sql": {"kind": "sql_execution", "database": "clubs"},
    "questions": {"kind": "answer_list", "answers": ["Dutch", "French", "German"]},
    "translation": {"kind": "translation"},
}
_REFERENCES = {
    "math": "Janet sells 16 - 3 - 4 = <<16-3-4=9>>9 eggs a day.\nShe makes 9 * 2 = $<<9*2=18>>18 a day.\n#### 18",
    "code": "def total(numbers):\n    return sum(numbers)",
    "sql": "SELECT name, founded, budget FROM club WHERE founded < 1880",
    "questions": "Dutch, French, German",
    "translation": "The cat has been sleeping in the garden since yesterday.",
}
_ANSWERS = {
    "math": MATH,
    "code": CODE,
    "sql": SQL,
    "questions": "Dutch (Flemish) and French",
    "translation": TRANSLATION,
}
_PROMPTS = {
    "code": "You are an expert Python programmer, and here is your task: {item} Your code should pass these tests:\n\n"
    "assert total([1, 2, 3]) == 6\nassert total([]) == 0\nassert total([5]) == 5",
    "sql": "### Answer the question by SQLite SQL query only and with no explanation.\n"
    "### SQLite SQL tables, with their properties:\n#\n# club(id, name, founded, budget);\n# player(name, club_id).\n"
    "#\n### Question: {item}\n### SQL:",
}


def make_databases(folder: Path) -> Path:
    """Make the database of clubs that the query of the showcase asks."""
    with closing(sqlite3.connect(folder / "clubs.sqlite")) as connection:
        connection.executescript(
            """
            CREATE TABLE club (id INTEGER, name TEXT, founded INTEGER, budget REAL);
            INSERT INTO club VALUES (1, 'Arsenal', 1886, 0.1), (2, 'Aston Villa', 1874, 0.2), (3, 'Fulham', 1879, NULL);
            CREATE TABLE player (name TEXT, club_id INTEGER);
            """
        )
    return folder


def make_showcase(folder: Path, *categories: str) -> dict[str, Response]:
    """Make one graded answer of each category; `folder` takes the database."""
    study = make.make_study("showcase")
    deployment = make.make_deployment("showcase-model")
    made = {}
    for category in categories or ITEMS:
        item = ITEMS[category]
        prompt = make.make_prompt(
            _PROMPTS.get(category, "{item}").format(item=item),
            category=category,
            item_text=item,
            reference=_REFERENCES[category],
            checks=_CHECKS[category],
        )
        made[category] = make.make_response(prompt, deployment, study=study, text=_ANSWERS[category])
    graders = {
        **GRADERS,
        "python_asserts": PythonAssertsGrader(RecordingSandbox),
        "sql_execution": SqlExecutionGrader(make_databases(folder)),
    }
    suggest(study=study, graders=graders)
    return made
