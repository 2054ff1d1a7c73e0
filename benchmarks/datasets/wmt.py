"""WMT18, newstest2018, German to English: news sentences with a reference translation (statmt.org)."""

import re
from pathlib import Path
from xml.sax.saxutils import unescape

from benchmarks.datasets.base import LineError, LineProblem, PromptFileError, check_storable, decode, read_bytes
from benchmarks.datasets.published import Download, PublishedDataset, RawContent, RawItem, find_file, version_of

_PAIR = "de-en"
_SOURCE, _REFERENCE = "newstest2018-deen-src.de", "newstest2018-deen-ref.en"
_SEGMENT = re.compile(r"<seg\b[^>]*>(.*)</seg>")


def _read(folder: Path) -> RawContent:
    path, sources = _sentences(folder, _SOURCE)
    reference_path, references = _sentences(folder, _REFERENCE)
    if len(sources) != len(references):
        message = f"it has {len(references)} sentences, but {path.name} has {len(sources)}"
        raise PromptFileError(reference_path, [LineError(0, "", message)])
    items = [
        (line, _item(source, reference))
        for (line, source), (_, reference) in zip(sources, references, strict=True)
    ]  # fmt: skip
    # of the sentences, not of the files: the same whether they came as plain text or as SGM
    content = "".join(f"{sentence}\n" for _, sentence in (*sources, *references))
    return RawContent(path, version_of(content.encode()), items)


def _item(source: str, reference: str) -> RawItem:
    return RawItem(
        item_text=source,
        text=f"Translate the following German text to English:\n\n{source}",
        reference=reference,
        checks={"kind": "translation", "source_language": "de", "target_language": "en"},
        source_fields={},
    )


def _sentences(folder: Path, name: str) -> tuple[Path, list[tuple[int, str]]]:
    """Return the sentences of a file by line: one a line in plain text, `<seg>` elements in the makers' SGM."""
    path = find_file(folder, (name, f"{name}.sgm"))
    lines = list(enumerate(decode(path, read_bytes(path)).removesuffix("\n").split("\n"), start=1))
    if path.suffix == ".sgm":
        segments = ((number, _SEGMENT.search(line)) for number, line in lines)
        lines = [(number, " ".join(unescape(found[1]).split())) for number, found in segments if found]
    errors = []
    for number, line in lines:
        try:
            check_storable("", line)
        except LineProblem as problem:
            errors.append(LineError(number, "", str(problem)))
        if not line.strip():
            errors.append(LineError(number, "", "the sentence is empty"))
    if errors:
        raise PromptFileError(path, errors)
    return path, lines


def _download() -> Download:
    from sacrebleu.dataset import DATASETS as KNOWN_TO_SACREBLEU  # late: 0.2 s, and only a download needs it

    wmt18 = KNOWN_TO_SACREBLEU["wmt18"]
    return Download(
        url=wmt18.data[0],
        file_name="wmt18-test.tgz",
        known_hash=f"md5:{wmt18.md5[0]}",
        members={member: Path(member).name for member in wmt18.langpairs[_PAIR]},
    )


WMT18 = PublishedDataset(
    name="wmt18",
    title="WMT18 newstest2018, German to English",
    category="translation",
    id_prefix="wmt18-deen",
    item_count=2998,
    licence="Research use only: free for research purposes with citation, no named licence; for other uses ask the "
    "owners of the news texts.",
    attribution="Bojar et al., Findings of the 2018 Conference on Machine Translation (WMT18), 2018.",
    source_url="https://www.statmt.org/wmt18/translation-task.html",
    known_version="sha256:f1782778b63596853485643f8619db94cd1a41ef20474479b08d0d98ac0ce988",
    download=_download,
    read=_read,
)
