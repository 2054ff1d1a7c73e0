"""PetSQL's copy of the Spider test set: questions about databases (github.com/zhshLii/PETSQL)."""

import re
from collections.abc import Sequence
from pathlib import Path

from benchmarks.datasets.base import LineProblem, PromptLine, json_array
from benchmarks.datasets.databases import NeededDatabase
from benchmarks.datasets.published import Download, PublishedDataset, RawContent, RawItem, RawRecord, read_json

_VERSION = "sha256:ab365ddefe752d27201dbce5091380c30897f0fa555a358387e6ab2d63870a2b"
_COMMIT = "116654ce12adc3ab10339fc57e200a26d1351723"
_DATABASE = re.compile(r"\w{1,100}", re.ASCII)  # it becomes a file name
_TABLE = re.compile(r"^# (\w+)\(", re.MULTILINE)
_ORDERED = re.compile(r"\border\s+by\b", re.IGNORECASE)
# the blank before the line break is PET-SQL's own
_PROMPT = """\
### Answer the question by sqlite SQL query only and with no explanation. \
You must minimize SQL execution time while ensuring correctness.
### Sqlite SQL tables, with their properties:
#
{tables}#
### Foreign key information of Sqlite SQL tables, used for table joins:\x20
#
# {foreign_keys}
#
### Question: {question}
### SQL:"""


def _item(record: RawRecord) -> RawItem:
    record.expect("id", record.position - 1)
    question, gold, tables = record.text("question"), record.text("gold_sql"), record.text("simplified_ddl")
    database = record.text("db")
    if not _DATABASE.fullmatch(database):
        raise LineProblem("db", f"{database!r} is not a name of letters, digits and underscores")
    if not _TABLE.search(tables):
        raise LineProblem("simplified_ddl", "it names no table")
    foreign_keys = "\n".join(record.texts("foreign_key")).replace("\n", ";\n# ")
    return RawItem(
        item_text=question,
        text=_PROMPT.format(tables=tables, foreign_keys=foreign_keys, question=question),
        reference=gold,
        checks={
            "kind": "sql_execution",
            "database": database,
            "gold": gold,
            "order_matters": _ORDERED.search(gold) is not None,
        },
        source_fields=record.without("question", "gold_sql"),
    )


def _databases(lines: Sequence[PromptLine]) -> dict[str, NeededDatabase]:
    needed: dict[str, NeededDatabase] = {}
    for line in lines:
        tables = frozenset(_TABLE.findall(line.source_fields["simplified_ddl"]))
        needed.setdefault(line.checks["database"], NeededDatabase(tables, line.position or line.line))
    return needed


def _read(folder: Path) -> RawContent:
    return read_json(folder=folder, names=("petsql_ppl_dev.json", "ppl_dev.json"), records=json_array, convert=_item)


def _download() -> Download:
    return Download(
        url=f"https://raw.githubusercontent.com/zhshLii/PETSQL/{_COMMIT}/src/sources/ppl_dev.json",
        file_name="ppl_dev.json",
        known_hash=_VERSION,
    )


PETSQL = PublishedDataset(
    name="petsql",
    title="PetSQL (Spider, test)",
    category="sql",
    id_prefix="petsql",
    item_count=2147,
    licence="CC BY-SA 4.0",
    attribution="Yu et al., Spider: A Large-Scale Human-Labeled Dataset for Complex and Cross-Domain Semantic Parsing "
    "and Text-to-SQL Task, EMNLP 2018. Prompt form: Li et al., PET-SQL, 2024 (arXiv 2403.09732).",
    source_url="https://github.com/zhshLii/PETSQL",
    known_version=_VERSION,
    download=_download,
    read=_read,
    databases=_databases,
)
