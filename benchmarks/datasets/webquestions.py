"""WebQuestions, test split: short questions with answers from Freebase (github.com/percyliang/sempre)."""

from pathlib import Path

from benchmarks.datasets.base import LineProblem, json_array
from benchmarks.datasets.published import Download, PublishedDataset, RawContent, RawItem, RawRecord, read_json

_FILE = "webquestions.examples.test.json"
_VERSION = "sha256:e3d4550e90660aaabe18458ba34b59f2624857273f375af7353273ce8b84ce6e"
_COMMIT = "6d0da57608c0dd9ada3ac1fe26df4311003f4a5e"
_OPENING, _BETWEEN, _CLOSING = "(list (description ", ") (description ", "))"


def _item(record: RawRecord) -> RawItem:
    question = record.text("utterance")
    answers = _answers(record.text("targetValue"))
    return RawItem(
        item_text=question,
        text=f"Answer the following question as briefly as possible.\n\n{question}",
        reference="\n".join(answers),
        checks={"kind": "answer_list", "answers": answers},
        source_fields=record.without("utterance"),
    )


def _answers(target: str) -> list[str]:
    """Return the answers of a `targetValue`, such as `(list (description "New York") (description 1967))`.

    Quotation marks inside an answer are not escaped there, so the words between the answers tell them apart.
    """
    if not target.startswith(_OPENING) or not target.endswith(_CLOSING):
        raise LineProblem("targetValue", f"it is not of the form {_OPENING}...{_CLOSING}")
    answers = [_unquoted(part) for part in target[len(_OPENING) : -len(_CLOSING)].split(_BETWEEN)]
    if not all(answer.strip() for answer in answers):
        raise LineProblem("targetValue", "an answer is empty")
    return answers


def _unquoted(part: str) -> str:
    return part[1:-1] if len(part) > 1 and part[0] == part[-1] == '"' else part


def _read(folder: Path) -> RawContent:
    return read_json(folder=folder, names=(_FILE,), records=json_array, convert=_item)


def _download() -> Download:
    url = f"https://raw.githubusercontent.com/percyliang/sempre/{_COMMIT}/data/webquestions/{_FILE}"
    return Download(url=url, file_name=_FILE, known_hash=_VERSION)


WEBQUESTIONS = PublishedDataset(
    name="webquestions",
    title="WebQuestions, test",
    category="questions",
    id_prefix="webquestions-test",
    item_count=2032,
    licence="CC BY 4.0",
    attribution="Berant, Chou, Frostig, Liang, Semantic Parsing on Freebase from Question-Answer Pairs, EMNLP 2013.",
    source_url="https://github.com/percyliang/sempre",
    known_version=_VERSION,
    download=_download,
    read=_read,
)
