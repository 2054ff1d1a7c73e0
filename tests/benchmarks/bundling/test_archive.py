import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.bundling.archive import FORMAT, BundleError, Origin, Place, open_bundle, write_bundle

ORIGIN = Origin("0.1.0", "2026-01-02T03:04:05+00:00", "first", "6f1c9a58-0000-4000-8000-000000000000", "lab")
NAMES = ("a.jsonl", "b.jsonl")
ROWS = [{"text": "grün\n\u2028", "value": 0.1}, {"text": "", "value": None}]
BIG = 10**9


def bundle(**members: list[dict[str, Any]]) -> io.BytesIO:
    file = io.BytesIO()
    given = {"a": ROWS, "b": [], **members}
    write_bundle(file, origin=ORIGIN, members=((f"{name}.jsonl", iter(rows)) for name, rows in given.items()))
    file.seek(0)
    return file


def changed(
    *, manifest: Callable[[dict[str, Any]], None] | None = None, files: dict[str, bytes | None] | None = None
) -> io.BytesIO:
    """Make a bundle again with another manifest or other files; a file of None is left out."""
    with zipfile.ZipFile(bundle()) as whole:
        texts: dict[str, bytes | None] = {name: whole.read(name) for name in whole.namelist()}
    stated = json.loads(texts["manifest.json"] or b"")
    if manifest is not None:
        manifest(stated)
        texts["manifest.json"] = json.dumps(stated).encode()
    texts.update(files or {})
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            if text is not None:
                archive.writestr(name, text)
    file.seek(0)
    return file


def consistent(name: str, text: bytes) -> io.BytesIO:
    """Make a bundle with another member whose hash the manifest knows, as a program with a bug would."""
    import hashlib

    def state(stated: dict[str, Any]) -> None:
        for member in stated["members"]:
            if member["name"] == name:
                member |= {
                    "sha256": hashlib.sha256(text).hexdigest(),
                    "byte_count": len(text),
                    "line_count": text.count(b"\n"),
                }

    return changed(manifest=state, files={name: text})


def refusal(file: io.BytesIO, *, max_bytes: int = BIG) -> str:
    with pytest.raises(BundleError) as refused:
        open_bundle(file, member_names=NAMES, max_bytes=max_bytes)
    return str(refused.value)


class TestBundle:
    def test_gives_back_the_rows_with_their_places(self) -> None:
        opened = open_bundle(bundle(), member_names=NAMES, max_bytes=BIG)
        lines = list(opened.lines("a.jsonl"))
        assert [line.row for line in lines] == ROWS
        assert [line.place for line in lines] == [Place("a.jsonl", 1), Place("a.jsonl", 2)]
        assert list(opened.lines("b.jsonl")) == []

    def test_tells_its_origin_and_counts(self) -> None:
        manifest = open_bundle(bundle(), member_names=NAMES, max_bytes=BIG).manifest
        assert manifest.origin == ORIGIN
        assert manifest.counts == {"a": 2, "b": 0}

    def test_of_the_same_rows_is_the_same_file(self) -> None:
        assert bundle().getvalue() == bundle().getvalue()

    @pytest.mark.parametrize("value", [0.1, 1e-300, 2**53 + 1, 3.141592653589793, -0.0])
    def test_keeps_numbers_to_the_digit(self, value: float) -> None:
        opened = open_bundle(bundle(a=[{"value": value}]), member_names=NAMES, max_bytes=BIG)
        assert next(opened.lines("a.jsonl")).row["value"] == value

    def test_does_not_write_a_number_that_json_has_not(self) -> None:
        with pytest.raises(ValueError, match="Out of range"):
            bundle(a=[{"value": float("nan")}])


class TestOpenBundle:
    @pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
    def test_refuses_a_truncated_file(self, share: float) -> None:
        whole = bundle().getvalue()
        assert "no whole bundle" in refusal(io.BytesIO(whole[: int(len(whole) * share)]))

    @pytest.mark.parametrize("position", range(60, 260, 20))
    def test_refuses_a_damaged_byte_or_reads_the_same(self, position: int) -> None:
        damaged = bytearray(bundle().getvalue())
        damaged[position] ^= 0xFF
        try:
            opened = open_bundle(io.BytesIO(bytes(damaged)), member_names=NAMES, max_bytes=BIG)
            rows = [line.row for line in opened.lines("a.jsonl")]
        except BundleError:
            return
        assert rows == ROWS

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            pytest.param({"format": "other"}, "it is no study bundle", id="other format"),
            pytest.param({"format_version": 2}, "has the format version 2, this GreenLLM reads version 1", id="newer"),
            pytest.param({"format_version": "1"}, "has the format version '1'", id="version as text"),
            pytest.param({"members": []}, "stands in the manifest or in the bundle", id="no members"),
            pytest.param({"members": [{"name": "a.jsonl"}]}, "lacks or misstates 'sha256'", id="no hash"),
            pytest.param({"members": 7}, "lacks or misstates", id="members no list"),
        ],
    )
    def test_refuses_another_manifest(self, change: dict[str, Any], told: str) -> None:
        assert told in refusal(changed(manifest=lambda stated: stated.update(change)))

    def test_tells_of_another_version_before_its_unknown_members(self) -> None:
        newer = changed(manifest=lambda stated: stated.update(format_version=2), files={"new.jsonl": b"{}\n"})
        assert "format version 2" in refusal(newer)

    @pytest.mark.parametrize(
        ("files", "told"),
        [
            pytest.param({"manifest.json": None}, "has no manifest.json", id="no manifest"),
            pytest.param({"manifest.json": b"{"}, "manifest.json is no JSON", id="manifest no JSON"),
            pytest.param({"manifest.json": b"[]"}, "it is no study bundle", id="manifest a list"),
            pytest.param({"manifest.json": b" " * 2**21}, "manifest.json has 2,097,152 bytes", id="huge manifest"),
            pytest.param({"a.jsonl": None}, "a.jsonl stands in the manifest or in the bundle", id="lost member"),
            pytest.param({"../evil": b"x"}, "'../evil', which leads out of it", id="climbs out"),
            pytest.param({"/etc/passwd": b"x"}, "'/etc/passwd', which leads out of it", id="absolute"),
            pytest.param({"a/../../b": b"x"}, "which leads out of it", id="climbs within"),
            pytest.param({"notes.txt": b"x"}, "'notes.txt', which is no part of this format", id="strange member"),
            pytest.param({"a.jsonl": b'{"text": "other"}\n'}, "the manifest says", id="other size"),
        ],
    )
    def test_refuses_other_files(self, files: dict[str, bytes | None], told: str) -> None:
        assert told in refusal(changed(files=files))

    def test_refuses_a_member_whose_text_was_changed(self) -> None:
        text = zipfile.ZipFile(bundle()).read("a.jsonl")
        assert "a.jsonl has another SHA-256" in refusal(changed(files={"a.jsonl": text.replace(b"0.1", b"0.2")}))

    def test_refuses_a_bundle_larger_than_the_bound(self) -> None:
        assert "unpacks to" in refusal(bundle(), max_bytes=100)

    def test_refuses_a_bomb_without_unpacking_it(self) -> None:
        bomb = consistent("a.jsonl", b'{"text": "' + b"0" * 20_000_000 + b'"}\n')
        assert len(bomb.getvalue()) < 50_000
        assert "unpacks to more than 200 times its size" in refusal(bomb)

    def test_refuses_a_member_twice(self) -> None:
        file = changed()
        with zipfile.ZipFile(file, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.jsonl", b"")
        assert "holds a.jsonl twice" in refusal(file)

    def test_refuses_another_zip_and_no_zip(self) -> None:
        other = io.BytesIO()
        with zipfile.ZipFile(other, "w") as archive:
            archive.writestr("word/document.xml", "<x/>")
        assert "has no manifest.json: it is no study bundle" in refusal(other)
        assert "no whole bundle" in refusal(io.BytesIO(b"name,value\n1,2\n"))
        assert FORMAT == "greenllm-study-bundle"


class TestLines:
    @pytest.mark.parametrize(
        ("text", "told"),
        [
            pytest.param(b'{"x": 1}\n{"x": \n', "a.jsonl, line 2: it is no JSON", id="cut"),
            pytest.param(b'{"x": 1}\n[1]\n', "a.jsonl, line 2: it is no JSON object", id="list"),
            pytest.param(b'{"x": 1}\n\n', "a.jsonl, line 2: it is no JSON", id="empty line"),
            pytest.param(b'{"x": NaN}\n', "a.jsonl, line 1: it is no JSON (NaN is no number", id="NaN"),
            pytest.param(b'{"x": "\xff"}\n', "a.jsonl, line 1: it is no JSON", id="no UTF-8"),
            pytest.param(b'{"x": "\\u0000"}\n', "a.jsonl, line 1: 'x': it holds a NUL", id="NUL"),
            pytest.param(b'{"x": ["\\ud800"]}\n', "a.jsonl, line 1: 'x': it holds half", id="half a pair"),
            pytest.param(b"[" * 100_000 + b"\n", "a.jsonl, line 1: it is no JSON", id="deep"),
            pytest.param(b'{"x": ' + b"9" * 5000 + b"}\n", "a.jsonl, line 1: it is no JSON", id="endless number"),
        ],
    )
    def test_name_the_broken_one(self, text: bytes, told: str) -> None:
        opened = open_bundle(consistent("a.jsonl", text), member_names=NAMES, max_bytes=BIG)
        with pytest.raises(BundleError) as refused:
            list(opened.lines("a.jsonl"))
        assert told in str(refused.value)

    def test_may_hold_a_backslash_before_a_u(self) -> None:
        opened = open_bundle(bundle(a=[{"path": "C:\\u0000"}]), member_names=NAMES, max_bytes=BIG)
        assert next(opened.lines("a.jsonl")).row == {"path": "C:\\u0000"}
