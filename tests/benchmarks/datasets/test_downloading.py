import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from benchmarks.datasets import PublishedDataset, downloading
from benchmarks.datasets.downloading import DownloadError, download_raw
from benchmarks.datasets.published import Download, parse_published
from tests.benchmarks.datasets.raw_files import GSM8K_RECORDS, small, write_lines
from tests.benchmarks.datasets.raw_server import RawServer, running
from tests.environment import free_port

NOBODY = "sha256:" + "0" * 64


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    return write_lines(tmp_path / "original.jsonl", GSM8K_RECORDS).read_bytes()


@pytest.fixture
def home(content: bytes) -> Iterator[RawServer]:
    with running(RawServer(content)) as server:
        yield server


@pytest.fixture
def var(tmp_path: Path) -> Path:
    return tmp_path / "downloads"


def hash_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def dataset_at(url: str, known_hash: str | None, members: Mapping[str, str] | None = None) -> PublishedDataset:
    return small("gsm8k", 3, download=lambda: Download(url, "test.jsonl", known_hash, members))


def fetch(url: str, known_hash: str | None, var: Path) -> bytes:
    reported: list[tuple[int, int | None]] = []
    folder = download_raw(
        dataset=dataset_at(url, known_hash), into=var, report=lambda done, total: reported.append((done, total))
    )
    content = (folder / "test.jsonl").read_bytes()
    if reported:
        assert reported[-1] == (len(content), len(content))
    return content


def refusal(url: str, known_hash: str | None, var: Path) -> str:
    with pytest.raises(DownloadError) as caught:
        fetch(url, known_hash, var)
    assert str(caught.value).startswith(f"{url} ")
    assert "Nothing was imported." in str(caught.value)
    assert str(caught.value).endswith("name its folder with --from DIR.")
    return str(caught.value)


def kept(var: Path) -> list[str]:
    return sorted(path.name for path in var.rglob("*") if path.is_file())


class TestDownloadRaw:
    def test_gives_a_folder_that_can_be_read(self, home: RawServer, content: bytes, var: Path) -> None:
        dataset = dataset_at(home.url, hash_of(content))

        folder = download_raw(dataset=dataset, into=var, report=lambda done, total: None)

        assert folder == var / "gsm8k"
        assert len(parse_published(dataset=dataset, folder=folder).lines) == 3

    def test_fetches_only_once(self, home: RawServer, content: bytes, var: Path) -> None:
        assert fetch(home.url, hash_of(content), var) == content
        assert fetch(home.url, hash_of(content), var) == content

        assert home.ranges == [""]

    def test_fetches_again_what_was_changed_on_this_machine(self, home: RawServer, content: bytes, var: Path) -> None:
        fetch(home.url, hash_of(content), var)
        (var / "gsm8k" / "test.jsonl").write_bytes(content[:-1])

        assert fetch(home.url, hash_of(content), var) == content

    def test_follows_a_redirection(self, home: RawServer, content: bytes, var: Path) -> None:
        home.redirect_to = "/elsewhere"

        assert fetch(home.url, hash_of(content), var) == content


class TestResuming:
    def test_goes_on_where_the_connection_broke_off(self, home: RawServer, content: bytes, var: Path) -> None:
        home.break_off_after = [100]

        assert fetch(home.url, hash_of(content), var) == content

        assert home.ranges == ["", "bytes=100-"]

    def test_goes_on_at_the_next_call(self, home: RawServer, content: bytes, var: Path) -> None:
        home.break_off_after = [100, 20, 3]
        said = refusal(home.url, hash_of(content), var)

        assert fetch(home.url, hash_of(content), var) == content

        assert "broke off before the end" in said
        assert home.ranges == ["", "bytes=100-", "bytes=120-", "bytes=123-"]
        assert kept(var) == ["test.jsonl"]

    def test_begins_again_where_the_home_knows_no_ranges(self, home: RawServer, content: bytes, var: Path) -> None:
        home.break_off_after, home.knows_ranges = [100], False

        assert fetch(home.url, hash_of(content), var) == content

    @pytest.mark.parametrize("extra", [b"", b"and more"], ids=["whole", "too long"])
    def test_begins_again_where_nothing_is_left_to_fetch(
        self, home: RawServer, content: bytes, var: Path, extra: bytes
    ) -> None:
        part = var / "gsm8k" / "test.jsonl.part"
        part.parent.mkdir(parents=True)
        part.write_bytes(content + extra)

        assert fetch(home.url, hash_of(content), var) == content

        assert home.ranges == [f"bytes={len(content + extra)}-", ""]

    def test_forgets_a_part_of_another_file(self, home: RawServer, content: bytes, var: Path) -> None:
        part = var / "gsm8k" / "test.jsonl.part"
        part.parent.mkdir(parents=True)
        part.write_bytes(b"x" * 50)

        assert "sent another file than was published" in refusal(home.url, hash_of(content), var)
        assert kept(var) == []
        assert fetch(home.url, hash_of(content), var) == content

    def test_never_joins_parts_that_no_hash_can_check(self, home: RawServer, content: bytes, var: Path) -> None:
        home.break_off_after = [100]

        assert fetch(home.url, None, var) == content

        assert home.ranges == ["", ""]


class TestRefusals:
    def test_of_a_home_that_nobody_answers_at(self, var: Path) -> None:
        url = f"http://127.0.0.1:{free_port()}/test.jsonl"

        assert "cannot be reached (" in refusal(url, NOBODY, var)

    @pytest.mark.parametrize(
        ("status", "said"), [(404, "answered 404 Not Found"), (503, "answered 503 Service Unavailable")]
    )
    def test_of_a_home_that_refuses(self, home: RawServer, var: Path, status: int, said: str) -> None:
        home.status = status

        assert said in refusal(home.url, NOBODY, var)
        assert kept(var) == []

    def test_of_another_file(self, home: RawServer, content: bytes, var: Path) -> None:
        said = refusal(home.url, NOBODY, var)

        assert "sent another file than was published" in said
        assert hash_of(content).removeprefix("sha256:") in said
        assert kept(var) == []

    def test_of_a_file_that_the_home_itself_has_cut_short(self, home: RawServer, content: bytes, var: Path) -> None:
        home.content = content[:-40]

        assert "sent another file than was published" in refusal(home.url, hash_of(content), var)

    @pytest.mark.slow
    def test_of_a_home_that_falls_silent(
        self, home: RawServer, content: bytes, var: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(downloading, "_SILENCE_TIMEOUT_S", 0.1)
        home.is_silent = True

        assert "broke off before the end (timed out)" in refusal(home.url, hash_of(content), var)

    def test_of_a_folder_that_cannot_be_written(self, home: RawServer, content: bytes, var: Path) -> None:
        var.write_text("a file", encoding="utf-8")

        assert "could not be kept in" in refusal(home.url, hash_of(content), var)


class TestWithoutAKnownHash:
    def test_takes_what_has_the_structure(self, home: RawServer, content: bytes, var: Path) -> None:
        assert fetch(home.url, None, var) == content

    def test_refuses_and_forgets_what_has_not(self, home: RawServer, content: bytes, var: Path) -> None:
        home.content = b"<html>Sign in</html>"

        assert "sent something else than GSM8K, test" in refusal(home.url, None, var)

        home.content = content
        assert fetch(home.url, None, var) == content


class TestArchives:
    def archive(self, *names: str) -> bytes:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as tarball:
            for name in names:
                entry = tarfile.TarInfo(name)
                entry.size = len(name)
                tarball.addfile(entry, io.BytesIO(name.encode()))
        return packed.getvalue()

    def fetch(self, home: RawServer, var: Path, *, content: bytes, members: dict[str, str]) -> Path:
        home.content = content
        known_hash = f"md5:{hashlib.md5(content, usedforsecurity=False).hexdigest()}"
        dataset = dataset_at(home.url, known_hash, members)
        return download_raw(dataset=dataset, into=var, report=lambda done, total: None)

    def test_give_only_the_members_asked_for(self, home: RawServer, var: Path) -> None:
        content = self.archive("test/a.sgm", "test/b.sgm", "../../evil")

        folder = self.fetch(home, var, content=content, members={"test/a.sgm": "a.sgm"})

        assert (folder / "a.sgm").read_text(encoding="utf-8") == "test/a.sgm"
        assert kept(var) == ["a.sgm", "test.jsonl"]

    def test_without_a_member_are_refused(self, home: RawServer, var: Path) -> None:
        with pytest.raises(DownloadError, match="sent an archive that cannot be used"):
            self.fetch(home, var, content=self.archive("test/b.sgm"), members={"test/a.sgm": "a.sgm"})

    def test_that_are_none_are_refused(self, home: RawServer, var: Path) -> None:
        with pytest.raises(DownloadError, match="sent an archive that cannot be used"):
            self.fetch(home, var, content=b"not a tarball", members={"test/a.sgm": "a.sgm"})
