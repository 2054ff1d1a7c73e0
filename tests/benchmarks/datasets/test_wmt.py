from pathlib import Path

import pytest

from benchmarks.datasets.base import PromptFileError
from benchmarks.datasets.published import PublishedPrompts, parse_published
from benchmarks.datasets.wmt import WMT18
from tests.benchmarks.datasets.raw_files import WMT18_PAIRS, small, write_pairs

SOURCE, REFERENCE = "newstest2018-deen-src.de", "newstest2018-deen-ref.en"


def parse(folder: Path, item_count: int = 3) -> PublishedPrompts:
    return parse_published(dataset=small("wmt18", item_count), folder=folder)


def write_sgm(folder: Path, name: str, sentences: list[str]) -> None:
    segments = "".join(f'<seg id="{number}">{text}</seg>\n' for number, text in enumerate(sentences, start=1))
    head, foot = '<srcset setid="newstest2018">\n<doc docid="a">\n<p>\n', "</p>\n</doc>\n</srcset>\n"
    (folder / f"{name}.sgm").write_text(head + segments + foot, encoding="utf-8")


class TestWmt18:
    def test_pairs_the_sentences(self, tmp_path: Path) -> None:
        write_pairs(tmp_path, WMT18_PAIRS)

        line = parse(tmp_path).lines[1]

        assert (line.external_id, line.item_text, line.reference) == (
            "wmt18-deen-0002",
            "Müller & Söhne",
            "Miller & Sons",
        )
        assert line.text == "Translate the following German text to English:\n\nMüller & Söhne"
        assert line.checks == {"kind": "translation", "source_language": "de", "target_language": "en"}

    def test_reads_the_sgm_of_the_makers_as_the_same(self, tmp_path: Path) -> None:
        plain, sgm = tmp_path / "plain", tmp_path / "sgm"
        plain.mkdir()
        sgm.mkdir()
        write_pairs(plain, WMT18_PAIRS)
        write_sgm(sgm, SOURCE, ["Guten  Tag. ", "Müller &amp; Söhne", "Ende."])
        write_sgm(sgm, REFERENCE, ["Good day.", "Miller & Sons", "The end."])

        texts = [[(line.text, line.reference) for line in parse(folder).lines] for folder in (plain, sgm)]

        assert texts[0] == texts[1]
        assert parse(plain).version == parse(sgm).version

    def test_splits_at_line_feeds_only(self, tmp_path: Path) -> None:
        write_pairs(tmp_path, [("eins\x85zwei\u2028drei", "one")])

        assert parse(tmp_path, 1).lines[0].item_text == "eins\x85zwei\u2028drei"

    def test_refuses_files_of_unlike_length(self, tmp_path: Path) -> None:
        write_pairs(tmp_path, WMT18_PAIRS)
        (tmp_path / REFERENCE).write_text("Good day.\n", encoding="utf-8")

        with pytest.raises(PromptFileError, match="it has 1 sentences, but newstest2018-deen-src.de has 3"):
            parse(tmp_path)

    @pytest.mark.parametrize(
        ("broken", "said"),
        [
            pytest.param(b"Good day.\n\nThe end.\n", "line 2: the sentence is empty", id="empty line"),
            pytest.param(b"Good day.\nMiller\0\nThe end.\n", "line 2: it holds a NUL", id="NUL"),
            pytest.param("Good day.\nM\xfcller\n.\n".encode("latin-1"), "line 2: it is not UTF-8", id="encoding"),
        ],
    )
    def test_names_a_wrong_line(self, tmp_path: Path, broken: bytes, said: str) -> None:
        write_pairs(tmp_path, WMT18_PAIRS)
        (tmp_path / REFERENCE).write_bytes(broken)

        with pytest.raises(PromptFileError, match=f"{REFERENCE}: nothing was imported, because of\n  {said}"):
            parse(tmp_path)

    def test_names_the_file_that_is_missing(self, tmp_path: Path) -> None:
        write_pairs(tmp_path, WMT18_PAIRS)
        (tmp_path / REFERENCE).unlink()

        with pytest.raises(PromptFileError, match=f"the folder has no {REFERENCE} or {REFERENCE}.sgm"):
            parse(tmp_path)

    def test_is_fetched_from_where_sacrebleu_says(self) -> None:
        download = WMT18.download()

        assert download.url.startswith("https://data.statmt.org/wmt18/")
        assert download.known_hash == "md5:f996c245ecffea23d0006fa4c34e9064"
        assert download.members is not None
        assert list(download.members.values()) == [f"{SOURCE}.sgm", f"{REFERENCE}.sgm"]

    def test_tells_that_it_is_for_research_only(self) -> None:
        assert WMT18.licence.startswith("Research use only")
